import { readFileSync, statSync } from 'node:fs';
import { type Diagnosis, diagnose, isSick } from '../../doctor/diagnose.ts';
import type { Finding } from '../../doctor/findings.ts';
import { AppError } from '../../errors.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Outcome } from '../output.ts';

const file = (description: string) => ({ type: 'string', valueHint: 'FILE', description }) as const;

export const doctor = command(
  'doctor',
  'Find out what is wrong with a Supabase instance; each finding comes with its fix, nothing is changed',
  {
    target: { type: 'string', valueHint: 'NAME', description: 'A registered target: reads its settings and runs the live checks' },
    // Node itself reads --env-file wherever it stands, and obeys a NODE_OPTIONS in that file before we run (nodejs/node#54232).
    env: {
      ...file('An environment file instead of a target. Prefer --env for a file of others: of --env-file Node itself obeys NODE_OPTIONS'),
      alias: 'env-file',
    },
    compose: file('The compose file that belongs to --env'),
    domains: file('Its domains as JSON, as domain.byComposeId of Dokploy answers them'),
  },
  async ({ target, env, compose, domains }) => {
    if ((target === undefined) === (env === undefined))
      throw usage('capstan doctor', 'capstan doctor needs either --target or --env (also --env-file).');
    if (target !== undefined && (compose !== undefined || domains !== undefined))
      throw usage('capstan doctor', '--compose and --domains belong to --env; a target has its own.');
    if (target !== undefined) return outcome(await withApp((app) => app.diagnose(target)));
    return outcome(await diagnoseFiles({ env: env ?? '', compose, domains }));
  },
);

type Files = { env: string; compose: string | undefined; domains: string | undefined };

async function diagnoseFiles({ env, compose, domains }: Files): Promise<Diagnosis> {
  const { factsOfTexts, hmacSha256 } = await import('../../effects/doctor/texts.ts');
  const facts = factsOfTexts({
    env: readText(env),
    ...(compose === undefined ? {} : { compose: readText(compose) }),
    ...(domains === undefined ? {} : { domains: readText(domains) }),
  });
  return diagnose(facts, { now: Date.now(), hmac: hmacSha256 });
}

const maxBytes = 8 * 1024 * 1024;

function readText(path: string): string {
  try {
    if (statSync(path).size > maxBytes) throw new Error('it has more than 8 MB');
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', {
      message: `The file ${path} could not be read: ${error instanceof Error ? error.message : 'unknown reason'}.`,
      fix: 'Check the path and its permissions.',
    });
  }
}

function outcome(diagnosis: Diagnosis): Outcome {
  const { generation, findings, summary, notLookedAt } = diagnosis;
  const lines = [
    `${summary}.`,
    `${generation.name} (${generation.because}).`,
    ...(notLookedAt.length === 0 ? [] : [`Not looked at, so not known to be right: ${notLookedAt.join(', ')}.`]),
    ...findings.map(findingText),
  ];
  return { exit: isSick(diagnosis) ? exitCodes.failed : exitCodes.ok, json: diagnosis, text: lines.join('\n') };
}

function findingText({ code, severity, at, say, current, expected, fix, docs }: Finding): string {
  return [
    `\n${severity} ${code} at ${at}`,
    `  ${say}`,
    `  is: ${current}   should be: ${expected}`,
    `  fix: ${fix}`,
    `  see: ${docs}`,
  ].join('\n');
}
