// Writes REFERENCE.md: every tool with its arguments, every workflow with its input, steps and events. A test compares it with the code.
import { writeFileSync } from 'node:fs';
import { z } from 'zod';

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Markdown of the whole reference; `toJsonSchema` turns a zod schema into JSON Schema. */
export function referenceOf({ toolsets, workflows, toJsonSchema }) {
  const tools = Object.entries(toolsets).flatMap(([group, each]) => [
    `## Tools: ${group}`,
    '',
    ...each.flatMap(({ definition }) => toolText(definition)),
  ]);
  const jobs = workflows.flatMap((workflow) => workflowText(workflow, toJsonSchema));
  return [
    '# Reference',
    '',
    'Made by `npm run docs` from the code; do not edit it by hand. Every answer about a run is a RunView, whose schema is the resource',
    '`capstan://schemas/run-view`.',
    '',
    ...tools,
    '## Workflows',
    '',
    ...jobs,
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

function toolText({ name, description, input, annotations }) {
  const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations;
  const kinds = [
    readOnlyHint ? 'only looks' : 'changes something',
    ...(destructiveHint ? ['may destroy: a person may have to approve'] : []),
    ...(idempotentHint && !readOnlyHint ? ['may be sent again'] : []),
    ...(openWorldHint ? ['reaches outside systems'] : []),
  ];
  return [`### \`${name}\``, '', description, '', `${kinds.join('; ')}.`, '', ...fields(z.toJSONSchema(input, { io: 'input' })), ''];
}

function workflowText(workflow, toJsonSchema) {
  const { name, title, description, aliases, steps, input, machine } = workflow;
  return [
    `### \`${name}\``,
    '',
    `**${title}.** ${description}`,
    '',
    ...(aliases.length > 0 ? [`Also started as ${aliases.map((alias) => `\`${alias}\``).join(', ')}.`, ''] : []),
    ...steps.map((step, index) => `${index + 1}. ${step}`),
    '',
    'Input:',
    '',
    ...fields(toJsonSchema(input)),
    '',
    'Events:',
    '',
    '| event | what it does | payload |',
    '|---|---|---|',
    ...eventsIn(machine.config).map(({ type, title: what, payload, confirm, secret = [] }) => {
      const properties = Object.keys(toJsonSchema(payload).properties ?? {});
      const shown = properties.map((field) => `\`${field}\`${secret.includes(field) ? ' (secret reference)' : ''}`).join(', ');
      return `| \`${type}\` | ${cell(what)}${confirm === undefined ? '' : `. **Needs approval:** ${cell(confirm)}`} | ${shown || 'none'} |`;
    }),
    '',
  ];
}

/** The first description of each event, in the order of the states. */
function eventsIn(config, found = new Map()) {
  for (const [type, event] of Object.entries(config.meta?.events ?? {})) if (!found.has(type)) found.set(type, { type, ...event });
  for (const inner of Object.values(config.states ?? {})) eventsIn(inner, found);
  return [...found.values()];
}

function fields({ properties = {}, required = [] }) {
  const rows = Object.entries(properties);
  if (rows.length === 0) return ['It takes nothing.'];
  return [
    '| field | type | |',
    '|---|---|---|',
    ...rows.map(
      ([name, schema]) =>
        `| \`${name}\`${required.includes(name) ? '' : ' (optional)'} | ${cell(typeOf(schema))} | ${cell(schema.description ?? '')} |`,
    ),
  ];
}

function typeOf(schema) {
  if (schema.enum) return schema.enum.map((each) => `\`${each}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return [...new Set(several.map(typeOf))].join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  return schema.type ?? 'anything';
}

if (process.argv[1]?.endsWith('reference.mjs')) {
  const dist = (path) => import(new URL(`../dist/${path}`, import.meta.url));
  const [{ everyToolset }, { workflows }, { toJsonSchema }] = await Promise.all(
    ['src/mcp/toolset.js', 'machines/registry.js', 'src/json-schema.js'].map(dist),
  );
  writeFileSync(
    new URL('../REFERENCE.md', import.meta.url),
    referenceOf({ toolsets: everyToolset, workflows: Object.values(workflows), toJsonSchema }),
  );
}
