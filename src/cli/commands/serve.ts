import { readFileSync } from 'node:fs';
import { defineCommand } from 'citty';
import type { App } from '../../app.ts';
import { toRecord } from '../../errors.ts';
import type { Guard } from '../../mcp/answer.ts';
import { packageFile } from '../../package-root.ts';
import { valuesOf } from '../arguments.ts';
import { workflowsFlag } from '../command.ts';
import { leave } from '../leave.ts';
import { scrubber, surroundings, useWorkflowFolders } from '../surroundings.ts';

/** Longest wait for an app that is just being opened when the client goes. */
const openingMs = 1_500;

export const serve = defineCommand({
  meta: { name: 'serve', description: 'Speak MCP over standard input and output (the default)' },
  args: {
    workflows: workflowsFlag,
    toolsets: { type: 'string', valueHint: 'A,B', description: 'Groups of tools beside core, or all' },
  },
  async run({ args, rawArgs }) {
    useWorkflowFolders(valuesOf(rawArgs, 'workflows'));
    const toolsets = (args.toolsets ?? '').split(',').filter((name) => name !== '');
    const [{ serveOverStdio }, { toolsOf }] = await Promise.all([import('../../mcp/serve-stdio.ts'), import('../../mcp/toolset.ts')]);
    toolsOf(toolsets); // an unknown one is told before a client waits
    let opened: Promise<App> | undefined;
    const open = async (): Promise<App> => {
      const { openApp } = await import('../../app.ts');
      const app = await openApp(await surroundings(false));
      await app.operations.carry();
      app.worker.start();
      return app;
    };
    const app = () => {
      opened ??= open().catch((error: unknown) => {
        opened = undefined; // the next call tries again and tells what is wrong
        throw error;
      });
      return opened;
    };
    const serving = serveOverStdio({ app, guard: guard(), version: ownVersion(), toolsets });
    await Promise.race([serving.ended, stopSignal()]);
    const last = opened && (await Promise.race([opened.catch(() => undefined), after(openingMs)]));
    if (last) await leave(last);
    process.exit(0);
  },
});

function guard(): Guard {
  return {
    scrub: scrubber.scrub,
    logError(logId, error) {
      const stack = error instanceof Error ? error.stack : undefined;
      void surroundings(false).then(
        ({ log }) => log.error({ logId, error: toRecord(error), stack }, 'something unexpected failed'),
        () => undefined, // a configuration that cannot be read is told by the call itself
      );
    },
  };
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  return String(version);
}
