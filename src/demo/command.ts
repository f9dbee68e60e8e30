import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { type SandboxProcess, startSandboxProcess } from './sandbox-process.ts';
import { playStory, type Sabotage, sabotages } from './story.ts';
import { isGood, type Verdicts } from './verdicts.ts';

export type DemoOptions = {
  /** This program, to be started again as sandbox and as server. */
  main: string;
  json: boolean;
  sabotage: string | undefined;
  keep: boolean;
  print: (line: string) => void;
  /** Resolves when the person ends a kept sandbox. */
  interrupted: Promise<void>;
};

/** Runs the demo and returns the exit code: 0 when every verdict is right. Throws USAGE on an unknown sabotage. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { json, keep, print } = options;
  const sabotage = parseSabotage(options.sabotage);
  const folder = await mkdtemp(join(tmpdir(), 'capstan-demo-'));
  const home = join(folder, 'home');
  const say = (text: string) => {
    if (!json) print(text);
  };
  say('0  A sandbox: a local twin of a Dokploy server');
  let sandbox: SandboxProcess | undefined;
  try {
    sandbox = await startSandboxProcess(options.main, join(folder, 'sandbox'));
    await addDokploy(options.main, home, sandbox);
    const verdicts = await playStory({ main: options.main, home, sandbox, sabotage, say });
    print(json ? JSON.stringify(verdicts) : summary(verdicts));
    if (keep) {
      print(howToConnect(options.main, home, sandbox));
      await options.interrupted;
    }
    return isGood(verdicts) ? 0 : 1;
  } finally {
    await sandbox?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function parseSabotage(text: string | undefined): Sabotage | undefined {
  const known = sabotages.find((name) => name === text);
  if (text === undefined || known) return known;
  throw new AppError('USAGE', {
    message: `There is no sabotage ${JSON.stringify(text.slice(0, 40))}.`,
    fix: `Choose one of: ${sabotages.join(', ')}.`,
  });
}

/** As the owner would do it: by the CLI, the key by reference. */
async function addDokploy(main: string, home: string, sandbox: SandboxProcess): Promise<void> {
  const flags = [
    '--url',
    sandbox.url,
    '--key',
    'env:DEMO_DOKPLOY_KEY',
    '--ca',
    sandbox.caFile,
    '--template-base-url',
    sandbox.templateBaseUrl,
  ];
  const args = [main, 'dokploy', 'add', 'demo', ...flags, ...sandbox.resolve.flatMap((entry) => ['--resolve', entry])];
  await new Promise<void>((resolve, reject) => {
    execFile(process.execPath, args, { env: { CAPSTAN_HOME: home, DEMO_DOKPLOY_KEY: sandbox.apiKey } }, (error, _stdout, stderr) => {
      if (error)
        reject(
          new AppError('DEMO_FAILED', {
            message: `The sandbox could not be added as a dokploy: ${stderr.trim().slice(0, 500)}`,
            cause: error,
          }),
        );
      else resolve();
    });
  });
}

function summary(verdicts: Verdicts): string {
  const line = (good: boolean, text: string) => `   ${good ? '✓' : '✗'} ${text}`;
  return [
    `=  Verdicts, counted from the sandbox's journal (${verdicts.seconds} s)`,
    line(verdicts.resumed, 'the run went on after kill -9'),
    line(
      verdicts.verified,
      `live probes prove the instance (${verdicts.probes.filter((probe) => probe.ok).length} of ${verdicts.probes.length})`,
    ),
    line(verdicts.effectsAppliedTwice === 0, `effects applied twice: ${verdicts.effectsAppliedTwice}`),
    line(verdicts.rolledBack, 'the second run is back at its name step'),
    line(verdicts.leftovers === 0, `left over after the rollback: ${verdicts.leftovers}`),
  ].join('\n');
}

function howToConnect(main: string, home: string, sandbox: SandboxProcess): string {
  const entry = { mcpServers: { capstan: { command: process.execPath, args: [main, 'serve'], env: { CAPSTAN_HOME: home } } } };
  return [
    `   The sandbox goes on at ${sandbox.url}. An MCP client that uses it:`,
    JSON.stringify(entry, null, 2),
    '   Its first sentence: "Set up Supabase on the dokploy demo with the host app.supabase.test".',
    '   Ctrl-C ends the sandbox and removes its files.',
  ].join('\n');
}
