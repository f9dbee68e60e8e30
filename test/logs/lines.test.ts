import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { parseWhen, selectLines } from '../../src/logs/filter.ts';
import { isAtLeast, levelOf } from '../../src/logs/levels.ts';
import { parseLog, printLogLine } from '../../src/logs/lines.ts';

describe('the level of a line', () => {
  test.each([
    ['{"level":"error","msg":"unable to find user"}', 'error'],
    ['{"level":50,"time":1,"msg":"x"}', 'error'],
    ['{"level":40,"msg":"slow"}', 'warning'],
    ['{"level":30,"msg":"[Server] Started Successfully"}', 'info'],
    ['{"level":20,"msg":"x"}', 'debug'],
    ['{"component":"api","level":"warning","msg":"x"}', 'warning'],
    ['time="2026" level=error msg="x"', 'error'],
    ['time="2026" level=info msg="an error was avoided"', 'info'],
    ['2026-11-25 12:00:00.000 UTC [71] FATAL:  password authentication failed for user "authenticator"', 'error'],
    ['LOG:  database system is ready to accept connections', 'info'],
    ['WARNING:  there is already a transaction in progress', 'warning'],
    ['DEBUG2:  autovacuum: processing database', 'debug'],
    ['2026/11/25 12:00:00 [error] 1#0: *5 connect() failed', 'error'],
    ['12:00:01.123 project=x [warning] tenant not found', 'warning'],
    ['172.18.0.1 - - [25/Nov/2026:12:00:00 +0000] "GET /rest/v1/ HTTP/1.1" 502 12 "-" "-"', 'error'],
    ['172.18.0.1 - - [25/Nov/2026:12:00:00 +0000] "GET /rest/v1/ HTTP/1.1" 401 12 "-" "-"', 'warning'],
    ['172.18.0.1 - - [25/Nov/2026:12:00:00 +0000] "GET /errors HTTP/1.1" 200 12 "-" "-"', 'info'],
    ['2026-11-25T12:00:00Z ERROR vector::topology: Configuration error', 'error'],
    ['Error: ❌ Docker command failed', 'error'],
    ['TypeError: Cannot read properties of undefined', 'error'],
    ['ready', null],
    ['the user sent an error report', null],
    ['{"level":"unheard-of"}', null],
  ])('of %s is %s', (line, level) => {
    expect(levelOf(line)).toBe(level);
  });

  test('error is graver than info; a line that says nothing counts as info', () => {
    expect([isAtLeast('error', 'warning'), isAtLeast('info', 'warning'), isAtLeast(null, 'info'), isAtLeast(null, 'warning')]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});

const docker = (second: number, text: string) => `2026-11-25T12:00:0${second}.123456789Z ${text}`;
const at = (second: number) => Date.UTC(2026, 10, 25, 12, 0, second, 123);

describe('the lines of a log', () => {
  test('docker’s time is cut off and kept; a line that continues another has its time and level', () => {
    const text = [
      docker(1, 'ERROR:  relation "x" does not exist'),
      docker(1, 'STATEMENT:  select * from x'),
      docker(2, 'Error: boom'),
      docker(2, '    at file.ts:1'),
      'no time here',
      docker(3, 'ready'),
    ].join('\n');
    expect(parseLog('db', `${text}\n`)).toEqual([
      { source: 'db', at: at(1), level: 'error', text: 'ERROR:  relation "x" does not exist' },
      { source: 'db', at: at(1), level: 'error', text: 'STATEMENT:  select * from x' },
      { source: 'db', at: at(2), level: 'error', text: 'Error: boom' },
      { source: 'db', at: at(2), level: 'error', text: '    at file.ts:1' },
      { source: 'db', at: at(2), level: 'error', text: 'no time here' },
      { source: 'db', at: at(3), level: null, text: 'ready' },
    ]);
  });

  test('colours go, a flood is cut with its length, an empty log has no lines', () => {
    expect(parseLog('x', docker(1, '\u001b[31mred\u001b[0m'))[0]?.text).toBe('red');
    expect(parseLog('x', 'y'.repeat(5_000))[0]?.text).toMatch(/^y{4000}… \(1000 more characters\)$/);
    expect(parseLog('x', '')).toEqual([]);
  });

  test('no bytes make it throw or lose a line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const rows = text.split('\n');
        expect(parseLog('x', text)).toHaveLength(rows.at(-1) === '' ? rows.length - 1 : rows.length);
      }),
    );
  });

  test('a line of a megabyte is read at once, whatever it is made of', () => {
    for (const sign of ['-', 'a', '[', '"', ' ', 'KEY', 'level=', '1.']) {
      const began = performance.now();
      parseLog('x', sign.repeat(1_000_000 / sign.length));
      expect(performance.now() - began, sign).toBeLessThan(1_000);
    }
  });
});

describe('the filter', () => {
  const lines = [
    ...parseLog('db', docker(3, 'ERROR:  late')),
    ...parseLog('kong', docker(1, '[warn] early')),
    ...parseLog('x', 'timeless'),
  ];

  test.each([
    [{}, ['timeless', '[warn] early', 'ERROR:  late']],
    [{ level: 'error' as const }, ['ERROR:  late']],
    [{ level: 'warning' as const }, ['[warn] early', 'ERROR:  late']],
    [{ since: at(2) }, ['timeless', 'ERROR:  late']],
    [{ until: at(2) }, ['timeless', '[warn] early']],
    [{ text: 'EARLY' }, ['[warn] early']],
    [{ text: 'nothing' }, []],
  ])('%j keeps, oldest first', (filter, kept) => {
    expect(selectLines(lines, filter).map((line) => line.text)).toEqual(kept);
  });

  test.each([
    ['90s', 1_000_000 - 90_000],
    ['30m', 1_000_000 - 1_800_000],
    ['2h', 1_000_000 - 7_200_000],
    ['7d', 1_000_000 - 604_800_000],
    ['2026-11-25T12:00:00Z', Date.UTC(2026, 10, 25, 12)],
    ['2026-11-25', Date.UTC(2026, 10, 25)],
  ])('reads the time %s', (text, expected) => {
    expect(parseWhen('since', text, 1_000_000)).toBe(expected);
  });

  test.each(['yesterday', '30', '30x', '', '-5m', '2026-13-45'])('refuses the time %j', (text) => {
    expect(() => parseWhen('since', text, 0)).toThrow(AppError);
  });

  test('a printed line has its time, source and level', () => {
    expect(selectLines(lines, {}).map(printLogLine)).toEqual([
      '- x - timeless',
      '2026-11-25T12:00:01.123Z kong warning [warn] early',
      '2026-11-25T12:00:03.123Z db error ERROR:  late',
    ]);
  });
});
