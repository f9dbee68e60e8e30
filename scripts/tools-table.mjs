// Writes the tools table of README.md from the tool definitions; `--check` only compares.
import { readFileSync, writeFileSync } from 'node:fs';

const begin = '<!-- tools:begin (npm run docs) -->';
const end = '<!-- tools:end -->';
const file = new URL('../README.md', import.meta.url);

/** README's text with the table made anew from the toolsets (group to tools). */
export function withTable(readme, toolsets) {
  const rows = Object.entries(toolsets).flatMap(([group, tools]) =>
    tools.map(({ definition }) => `| \`${definition.name}\` | ${group} | ${definition.description.replaceAll('|', '\\|')} |`),
  );
  const [before, rest] = readme.split(begin);
  return [before, begin, '\n| tool | toolset | what for |\n|---|---|---|\n', rows.join('\n'), '\n', end, rest.split(end)[1]].join('');
}

if (process.argv[1]?.endsWith('tools-table.mjs')) {
  const { everyToolset } = await import(new URL('../dist/src/mcp/toolset.js', import.meta.url));
  writeFileSync(file, withTable(readFileSync(file, 'utf8'), everyToolset));
}
