import { once } from 'node:events';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { AppError } from '../../errors.ts';
import { usage, valuesOf } from '../arguments.ts';
import { surroundings } from '../surroundings.ts';

/** Prints what a client needs, the sandbox's own throw-away key among it, and serves until it is stopped. */
export const sandbox = defineCommand({
  meta: { name: 'sandbox', description: 'Serve a local twin of a Dokploy that brings up a small Supabase' },
  args: {
    'data-dir': { type: 'string', description: 'Where its state lives. Default: sandbox in CAPSTAN_HOME' },
    port: { type: 'string', description: 'Port of the pretended Dokploy. Default: a free one' },
    'postgres-url': { type: 'string', description: 'A superuser on a running Postgres, best as env:NAME. Default: an own server' },
    instance: {
      type: 'string',
      valueHint: 'NAME',
      description: 'A deployed instance to start with, such as gen-b or http-urls; may be given more than once',
    },
    fault: { type: 'string', description: 'Arm a fault by name; may be given more than once' },
    json: { type: 'boolean', description: 'Print the address and keys as one JSON line' },
  },
  async run({ args, rawArgs }) {
    const { startSandbox } = await import('../../sandbox/start.ts');
    const { config } = await surroundings(true);
    const stopped = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    const postgresUrl = args['postgres-url'] === undefined ? undefined : await readReference(args['postgres-url']);
    const running = await startSandbox({
      dataDir: args['data-dir'] ?? join(config.home, 'sandbox'),
      faults: valuesOf(rawArgs, 'fault'),
      instances: valuesOf(rawArgs, 'instance'),
      ...(args.port === undefined ? {} : { port: parsePort(args.port) }),
      ...(postgresUrl === undefined ? {} : { postgresUrl }),
    });
    const { url, apiKey, caFile, resolve, templateBaseUrl } = running;
    const facts = { url, apiKey, caFile, resolve, templateBaseUrl };
    console.log(args.json ? JSON.stringify(facts) : howTo(facts));
    await stopped;
    await running.stop();
  },
});

function howTo({
  url,
  apiKey,
  caFile,
  resolve,
  templateBaseUrl,
}: {
  url: string;
  apiKey: string;
  caFile: string;
  resolve: string[];
  templateBaseUrl: string;
}): string {
  const flags = [
    `--url ${url}`,
    '--key env:SANDBOX_KEY',
    `--ca ${caFile}`,
    ...resolve.map((entry) => `--resolve '${entry}'`),
    `--template-base-url ${templateBaseUrl}`,
  ];
  return [
    `The sandbox serves at ${url}. Add it with:`,
    '',
    `  SANDBOX_KEY=${apiKey} capstan dokploy add sandbox ${flags.join(' ')}`,
    '',
    'Ctrl-C ends it.',
  ].join('\n');
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw usage('capstan sandbox', `The port ${JSON.stringify(text.slice(0, 20))} is none.`);
}

async function readReference(text: string): Promise<string> {
  if (!text.startsWith('env:')) return text;
  const { readVariable } = await import('../../config.ts');
  const value = readVariable(text.slice(4));
  if (value !== undefined && value !== '') return value;
  throw new AppError('SECRET_UNREADABLE', { message: `The reference ${text} gives nothing.`, fix: 'Set that variable for this command.' });
}
