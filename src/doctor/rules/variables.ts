/** The text as a whole: readable, complete, nothing twice, nothing that nobody reads. */
import { maskValue } from '../../masking.ts';
import { docs, type Finding } from '../findings.ts';
import { atVariable, type Look, type Rule, thenDeploy } from '../look.ts';
import { knownVariables, requiredVariables } from '../variables.ts';

export const variableRules: readonly Rule[] = [notText, missing, unset, unknown, twice, unreadableLines, placeholders, composeUnreadable];

/** True for a text that no reader could take for an environment. */
export function isNoText({ facts, env }: Look): boolean {
  return facts.env.trim() === '' || facts.env.includes('\0') || env.size === 0;
}

function notText(look: Look): Finding[] {
  if (!isNoText(look)) return [];
  const empty = look.facts.env.trim() === '';
  return [
    {
      code: empty ? 'ENVIRONMENT_EMPTY' : 'ENVIRONMENT_UNREADABLE',
      severity: 'critical',
      at: 'environment',
      say: empty ? 'The environment is empty.' : 'The environment is no text of NAME=value lines.',
      current: `${look.facts.env.length} characters`,
      expected: 'The variables of the template',
      fix: 'Restore the environment of the service from a copy, then deploy it again.',
      docs: docs.variables,
    },
  ];
}

function missing(look: Look): Finding[] {
  if (isNoText(look)) return [];
  return requiredVariables(look.generation.id)
    .filter((name) => (look.env.get(name) ?? '') === '')
    .map((name) =>
      atVariable(look, name, {
        code: 'VARIABLE_MISSING',
        severity: 'error',
        say: `${name} has no value, and the services need it.`,
        expected: 'A value',
        fix: `Set ${name} ${thenDeploy}.`,
        docs: docs.variables,
      }),
    );
}

/** Compose puts nothing in their place and says so only in a log. */
function unset(look: Look): Finding[] {
  if (isNoText(look)) return [];
  const required = new Set(requiredVariables(look.generation.id));
  const names = new Set((look.compose?.references ?? []).filter(({ optional }) => !optional).map(({ name }) => name));
  return [...names]
    .filter((name) => !look.env.has(name) && !required.has(name))
    .map((name) =>
      atVariable(look, name, {
        code: 'VARIABLE_UNSET',
        severity: 'error',
        say: `The compose file reads ${name}, which the environment does not set: the service gets an empty text.`,
        expected: 'A value',
        fix: `Set ${name} ${thenDeploy}.`,
        docs: docs.variables,
      }),
    );
}

function unknown(look: Look): Finding[] {
  const read = new Set(look.compose?.references.map(({ name }) => name));
  return [...look.env.keys()]
    .filter((name) => !knownVariables.has(name) && !read.has(name))
    .map((name) =>
      atVariable(look, name, {
        code: 'VARIABLE_UNKNOWN',
        severity: 'info',
        say: look.compose ? `Neither the template nor the compose file knows ${name}.` : `The templates do not know ${name}.`,
        expected: 'A variable that a service reads',
        fix: `Check the spelling of ${name}; remove it if nothing reads it.`,
        docs: docs.variables,
      }),
    );
}

function twice(look: Look): Finding[] {
  const values = new Map<string, Set<string>>();
  for (const item of look.text) if (item.kind === 'entry') values.set(item.name, (values.get(item.name) ?? new Set()).add(item.raw));
  return [...values]
    .filter(([, raws]) => raws.size > 1)
    .map(([name, raws]) =>
      atVariable(look, name, {
        code: 'VARIABLE_TWICE',
        severity: 'warning',
        say: `${name} is set ${raws.size} times to different values; the last one wins.`,
        expected: 'One line',
        fix: `Remove the lines of ${name} that are not meant ${thenDeploy}.`,
        docs: docs.variables,
      }),
    );
}

function unreadableLines(look: Look): Finding[] {
  if (isNoText(look)) return [];
  const count = look.text.filter((item) => item.kind === 'other' && !/^\s*(#.*)?$/.test(item.raw)).length;
  if (count === 0) return [];
  return [
    {
      code: 'LINES_UNREADABLE',
      severity: 'warning',
      at: 'environment',
      say: 'The environment has lines that set no variable and are no comment: often the rest of a value with a line break.',
      current: `${count} ${count === 1 ? 'line' : 'lines'}`,
      expected: 'NAME=value on each line',
      fix: `Write such a value in one line, or remove the lines ${thenDeploy}.`,
      docs: docs.variables,
    },
  ];
}

function placeholders(look: Look): Finding[] {
  return ['GOOGLE_PROJECT_ID', 'GOOGLE_PROJECT_NUMBER']
    .filter((name) => look.env.get(name) === name)
    .map((name) =>
      atVariable(
        look,
        name,
        {
          code: 'PLACEHOLDER',
          severity: 'info',
          say: `${name} keeps the template’s placeholder.`,
          expected: 'A value, only where logs go to BigQuery',
          fix: 'Leave it unless you use BigQuery.',
          docs: docs.variables,
        },
        maskValue(name, name),
      ),
    );
}

function composeUnreadable({ facts }: Look): Finding[] {
  if (facts.compose !== 'unreadable') return [];
  return [
    {
      code: 'COMPOSE_UNREADABLE',
      severity: 'error',
      at: 'compose file',
      say: 'The compose file is no YAML with services, so its ports, images and variables were not checked.',
      current: '(unreadable)',
      expected: 'A compose file',
      fix: 'Restore the compose file from a copy.',
      docs: docs.compose,
    },
  ];
}
