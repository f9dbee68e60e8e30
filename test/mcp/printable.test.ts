import { expect, test } from 'vitest';
import { maxResultBytes, sizeOf, toErrorResult, toResult, withinLimit } from '../../src/mcp/answer.ts';
import { mapText, printable } from '../../src/mcp/printable.ts';
import { parseArguments, refuseSecrets } from '../../src/mcp/tool.ts';
import { advanceRun, listTargets } from '../../src/mcp/toolsets/core.ts';
import { createScrubber } from '../../src/scrub.ts';

const same = (text: string) => text;

test.each([
  ['a bell and a terminal sequence', 'a\u0007b\u001b[31mc', 'a\\u{7}b\\u{1b}[31mc'],
  ['a right-to-left override', 'invoice\u202efdp.exe', 'invoice\\u{202e}fdp.exe'],
  ['isolates and marks', '\u2066x\u2069\u200f\u061c', '\\u{2066}x\\u{2069}\\u{200f}\\u{61c}'],
  ['invisible instructions in tag characters', 'ok\u{e0041}\u{e0042}', 'ok\\u{e0041}\\u{e0042}'],
  ['zero-width and filler characters', 'a\u200bb\ufeffc\u3164', 'a\\u{200b}b\\u{feff}c\\u{3164}'],
  ['a carriage return and a line separator', 'a\rb\u2028c', 'a\\u{d}b\\u{2028}c'],
  ['a lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
  ['words of any script, emoji with joiners, line ends and tabs', 'größe 数据 👩\u200d💻\n\tx', 'größe 数据 👩\u200d💻\n\tx'],
])('%s are spelled out or kept', (_what, text, shown) => {
  expect(printable(text)).toBe(shown);
  expect(printable(printable(text))).toBe(shown);
});

test('every text of an answer is changed, keys too', () => {
  expect(mapText({ 'a\u202e': ['\u0007', { b: 1, c: null }] }, printable)).toEqual({ 'a\\u{202e}': ['\\u{7}', { b: 1, c: null }] });
});

test('a known secret leaves neither in the structured nor in the text part', () => {
  const scrubber = createScrubber();
  scrubber.register('correct-horse-battery');
  const result = toResult({ details: { note: 'is correct-horse-battery' } }, { scrub: scrubber.scrub });
  expect(JSON.stringify(result)).not.toContain('correct-horse-battery');
  expect(JSON.parse(result.content[0]?.text ?? '')).toEqual(result.structuredContent);
});

test('an answer that is too large loses its largest parts by name and keeps where the run stands', () => {
  const huge = {
    runId: 'r',
    status: 'waiting',
    version: 3,
    next: { who: 'you', say: 'x' },
    details: { log: 'y'.repeat(300_000), small: 'kept' },
  };
  const out = withinLimit(huge, maxResultBytes);
  expect(sizeOf(out)).toBeLessThan(maxResultBytes);
  expect(out).toMatchObject({
    runId: 'r',
    next: { say: 'x' },
    details: { small: 'kept', log: { omitted: expect.stringContaining('bytes') } },
  });
});

test('an unexpected error is told as INTERNAL with a log id, and its words go to the log only', () => {
  const logged: [string, unknown][] = [];
  const result = toErrorResult('advance_run', new Error('password is hunter22'), {
    scrub: same,
    logError: (...entry) => logged.push(entry),
  });
  const told = JSON.parse(result.content[0]?.text ?? '');
  expect(told).toMatchObject({ code: 'INTERNAL', details: { logId: logged[0]?.[0] } });
  expect(JSON.stringify(result)).not.toContain('hunter22');
  expect(result).not.toHaveProperty('structuredContent');
});

test('unknown arguments are refused with the known ones named', () => {
  expect(() => parseArguments(advanceRun, { run: 'r', event: 'go', versoin: 1 })).toThrow(
    expect.objectContaining({ code: 'ARGUMENTS_INVALID', fix: 'It takes: run, event, payload, expectedVersion, requestKey, waitMs.' }),
  );
  expect(() => parseArguments(listTargets, { all: true })).toThrow(expect.objectContaining({ fix: 'It takes: discover, cursor.' }));
  expect(() => parseArguments(advanceRun, { run: 'r', event: 'go', waitMs: 60_000 })).toThrow(/waitMs/);
});

test('an argument that is or looks like a secret is refused without being repeated', () => {
  const scrubber = createScrubber();
  scrubber.register('correct-horse-battery');
  const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.${'s'.repeat(43)}`;
  for (const value of ['correct-horse-battery', jwt, 'postgres://u:pa55word@db/x']) {
    const attempt = () => refuseSecrets('advance_run', { payload: { deep: [{ url: value }] } }, scrubber.scrub);
    expect(attempt).toThrow(
      expect.objectContaining({ code: 'SECRET_IN_ARGUMENT', message: expect.stringContaining('payload.deep.0.url') }),
    );
    expect(attempt).not.toThrow(value);
  }
  expect(() => refuseSecrets('advance_run', { payload: { pass: 'env:SMTP_PASS' } }, scrubber.scrub)).not.toThrow();
});
