/** Articles for codes, and pages of lists that are made anew at each call. */
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { codesIn, explanationsIn, readArticles } from '../../scripts/knowledge.mjs';
import { articles, articleText } from '../../src/knowledge.ts';
import { pageOf } from '../../src/mcp/pages.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { mainFile } from '../helpers/mcp-clients.ts';

const contents = z.looseObject({ contents: z.array(z.looseObject({ mimeType: z.string(), text: z.string() })) });

test('a client reads what a code means, finds it by its beginning, and is told where there is none', async () => {
  const place = temporaryHome();
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const env = { PATH: process.env['PATH'] ?? '', CAPSTAN_HOME: `${place.home}/never-opened`, CAPSTAN_LOG: 'silent' };
  try {
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [mainFile], env }));
    const read = async (uri: string) => contents.parse(await client.readResource({ uri })).contents[0]?.text ?? '';
    const index = await read('capstan://knowledge');
    expect(index.match(/^- `[A-Z][A-Z0-9_]+`: ./gm)?.length).toBe(articles().size);
    const article = await read('capstan://knowledge/HOME_FOREIGN');
    expect(article).toMatch(/^# HOME_FOREIGN\n[\s\S]*## What it says\n[\s\S]*## What it means\n[\s\S]*## Next step\n/);
    expect(article).toContain('Set CAPSTAN_HOME to an empty folder');
    expect(await read('capstan://knowledge/KEYS_IDENTICAL')).toContain('A finding of the doctor');
    await expect(client.readResource({ uri: 'capstan://knowledge/NOTHING_SUCH' })).rejects.toThrow(/no such code|not found/i);
    const ref = { type: 'ref/resource' as const, uri: 'capstan://knowledge/{code}' };
    const { completion } = await client.complete({ ref, argument: { name: 'code', value: 'home_' } });
    expect(completion.values).toEqual(['HOME_FOREIGN', 'HOME_ON_NETWORK', 'HOME_UNUSABLE']);
  } finally {
    await client.close();
    place.remove();
  }
});

test('every code of an error has an article with what it says and the next step', () => {
  const built = [...articles().values()];
  expect(built).toEqual(JSON.parse(JSON.stringify(readArticles()))); // the build is of these sources
  expect(built.length).toBeGreaterThan(300);
  const mute = built.filter(({ by, next, means }) => by.join() === 'error' && next.length === 0 && means === undefined);
  // The engine itself goes on after the first two; the others are told by whoever says them, case by case.
  expect(mute.map(({ code }) => code)).toEqual(['EFFECT_STOPPED', 'EFFECT_TIMEOUT', 'SQL_SYNTAX', 'UNDO_NOT_KEPT']);
  for (const article of built) {
    expect(articleText(article), article.code).not.toMatch(/\bundefined\b|\$\{[a-z]|\[object/);
    expect(Buffer.byteLength(articleText(article)), article.code).toBeLessThan(4_000);
  }
});

test('what is said is read from the source, whatever stands between', () => {
  const source = [
    "throw new AppError('A_CODE', {",
    '  message: `The file §{path.replace(/"/g, `x§{y}`)} is gone, and §{count(1, {})} more.`, // a comment, with a comma',
    "  fix: many ? 'Put it back, please.' : `Ask §{name}.`,",
    '  details: { message: "Not this one here." },',
    '});',
    "const other = { code: 'B_CODE', severity: 'warning', say: 'It\\'s odd here.', fix: 'Do that now.' };",
    "return say(look, 'C_CODE', 'critical', 'Both are the same.', expected);",
    "const AGAIN = 'Try it again.';",
    "throw new AppError('D_CODE', { message: 'It did not work.', fix: AGAIN, retry: 'later' });",
  ]
    .join('\n')
    .replaceAll('§', '$');
  expect(codesIn(source)).toEqual([
    { code: 'A_CODE', by: 'error', says: ['The file … is gone, and … more.'], next: ['Put it back, please.', 'Ask ….'] },
    { code: 'D_CODE', by: 'error', says: ['It did not work.'], next: ['Try it again.'] },
    { code: 'B_CODE', by: 'doctor', says: ["It's odd here."], next: ['Do that now.'] },
    { code: 'C_CODE', by: 'doctor', says: ['Both are the same.'], next: [] },
  ]);
  const readme = '# X\n## Troubleshooting\n\n| code | what |\n|---|---|\n| `A_ONE`, `A_TWO` | Do `x\\|y`. |\n## Next\n| `B_ONE` | no |\n';
  expect([...explanationsIn(readme)]).toEqual([
    ['A_ONE', 'Do `x|y`.'],
    ['A_TWO', 'Do `x|y`.'],
  ]);
});

test('a list longer than an answer comes whole by its cursors; a changed one is told', () => {
  const rows = Array.from({ length: 500 }, (_, n) => ({ id: `row-${n}`, text: 'x'.repeat(1_000) }));
  const idOf = ({ id }: { id: string }) => id;
  const seen: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = pageOf(rows, { idOf, cursor });
    seen.push(...page.rows.map(idOf));
    expect(page.leftOff ?? 0).toBe(500 - seen.length);
    cursor = page.cursor;
    pages += 1;
  } while (cursor !== undefined);
  expect(seen).toEqual(rows.map(idOf));
  expect(pages).toBeGreaterThan(5);
  const { cursor: first } = pageOf(rows, { idOf, most: 50 });
  expect(pageOf(rows, { idOf, cursor: first, most: 50 }).rows[0]?.id).toBe('row-50');
  for (const wrong of [rows.slice(1), [...rows].reverse(), rows.slice(0, 50)])
    expect(() => pageOf(wrong, { idOf, cursor: first })).toThrow(expect.objectContaining({ code: 'CURSOR_STALE' }));
  for (const odd of ['', '.', 'x', '-1.abc', '1e3.abc', '50.', '999999999.x'])
    expect(() => pageOf(rows, { idOf, cursor: odd })).toThrow(expect.objectContaining({ code: 'CURSOR_STALE' }));
  expect(pageOf([], { idOf })).toEqual({ rows: [] });
});
