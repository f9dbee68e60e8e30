import { once } from 'node:events';
import { defineCommand } from 'citty';
import { mainFile } from '../surroundings.ts';

/** The demo prints by itself: a story to follow, or its verdicts as JSON. */
export const demo = defineCommand({
  meta: { name: 'demo', description: 'Rehearse the whole wizard on a sandbox: kill -9, resume, proof, rollback' },
  args: {
    sabotage: { type: 'string', description: 'Break it on purpose: double-deploy, leftover or bad-key; must end with exit 1' },
    keep: { type: 'boolean', description: 'Leave the sandbox running and print how to connect a client' },
    json: { type: 'boolean', description: 'Print the verdicts as one JSON document' },
  },
  async run({ args }) {
    const { runDemo } = await import('../../demo/command.ts');
    process.exitCode = await runDemo({
      main: mainFile,
      json: args.json === true,
      sabotage: args.sabotage,
      keep: args.keep === true,
      print: (line) => console.log(line),
      interrupted: Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]).then(() => undefined),
    });
  },
});
