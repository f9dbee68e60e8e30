#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { packageFile } from './package-root.ts';
import { holdYoungSpace } from './young-space.ts';

/** The bin: as little as possible before a door is known, since an MCP client waits for our first answer. */
const argv = process.argv.slice(2);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `NODE_TOO_OLD: Capstan needs Node 20.19 or newer, and this is ${process.versions.node}.\nInstall a newer Node from https://nodejs.org and start again.\n`,
  );
  process.exitCode = 1;
} else if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  process.stdout.write(`${version}\n`);
} else {
  // Those that stay or stream.
  if (argv.length === 0 || ['serve', 'run', 'worker'].includes(argv[0] ?? '') || argv[0]?.startsWith('-')) holdYoungSpace();
  const { runCli } = await import('./cli/run-cli.ts');
  await runCli(argv);
}
