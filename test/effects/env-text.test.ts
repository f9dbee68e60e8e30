import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { envVariables, getEnv, parseEnv, printEnv, quoteValue, setEnv } from '../../src/env-text.ts';

/** In CI every property is tried ten thousand times. */
const numRuns = process.env['CI'] ? 10_000 : 500;

describe('environment text', () => {
  it.each([
    ['A=1', 'A', '1'],
    ['A=', 'A', ''],
    ['A = spaced ', 'A', 'spaced'],
    ['export A=1', 'A', '1'],
    ['A=1 # why', 'A', '1'],
    ['A=#all comment', 'A', ''],
    ['A=a#b', 'A', 'a#b'],
    ['A="x # y"', 'A', 'x # y'],
    ["A='x $y'", 'A', 'x $y'],
    ['A="two\nlines"\nB=2', 'B', '2'],
    ['A="two\nlines"', 'A', 'two\nlines'],
    ['A="a\\nb"', 'A', 'a\nb'],
    ['A="unclosed', 'A', '"unclosed'],
    ['A=1\nA=2', 'A', '2'],
    ['#A=1', 'A', undefined],
    ['no assignment', 'no', undefined],
    ['A=1\r\nB=2', 'B', '2'],
  ])('reads %j', (text, name, value) => {
    expect(getEnv(parseEnv(text), name)).toBe(value);
  });

  it('prints any text as it was, byte for byte (invariant 1)', () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('A=', '"', "'", '`', '\n', '\r\n', '\r', ' #', 'export ', '=', '\\', '\t', 'KEY'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        expect(printEnv(parseEnv(text))).toBe(text);
      }),
      { numRuns },
    );
  });

  it('changes the lines of that variable only, whatever stands around them (invariant 2)', () => {
    const line = fc.oneof(
      fc.constantFrom(
        '',
        '# comment',
        '  # A=1',
        'export B=2 # why',
        "C='x $y'",
        'D="two\nlines"',
        'E=`tick`',
        'F = spaced  ',
        'no assignment',
        'G="unclosed',
      ),
      fc.string({ maxLength: 20 }).map((text) => text.replaceAll('NEW', '')),
    );
    const end = fc.constantFrom('\n', '\r\n');
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 8 }),
        fc.array(line, { maxLength: 8 }),
        end,
        fc.stringMatching(/^[a-z0-9]{0,20}$/),
        (head, tail, eol, value) => {
          const before = parseEnv([...head, 'NEW=old # kept', ...tail].join(eol));
          const at = before.findIndex((item) => item.kind === 'entry' && item.name === 'NEW');
          fc.pre(at >= 0); // an unclosed quote before it may have taken the line in
          const after = setEnv(before, 'NEW', value);
          const wanted = before.map((item) => printEnv([item]));
          wanted[at] = (wanted[at] ?? '').replace('NEW=old', `NEW=${value}`);
          expect(after.map((item) => printEnv([item]))).toEqual(wanted);
        },
      ),
      { numRuns },
    );
  });

  it('changes only the line of the variable (invariant 2)', () => {
    const text = '# head\r\nexport A=1  # keep\r\n\r\n  B="two"\r\nC=3';
    const out = printEnv(setEnv(setEnv(parseEnv(text), 'A', 'new'), 'B', 'x y'));
    expect(out).toBe("# head\r\nexport A=new  # keep\r\n\r\n  B='x y'\r\nC=3");
  });

  it('adds a missing variable at the end, in the line ends of the text', () => {
    expect(printEnv(setEnv(parseEnv('A=1\r\nB=2'), 'C', '3'))).toBe('A=1\r\nB=2\r\nC=3');
    expect(printEnv(setEnv(parseEnv('A=1\n'), 'B', '2'))).toBe('A=1\nB=2\n');
    expect(printEnv(setEnv(parseEnv(''), 'A', '1'))).toBe('A=1\n');
  });

  it('leaves the line alone when the value is the same already', () => {
    const text = 'A="/auth/v1/verify"\n';
    expect(printEnv(setEnv(parseEnv(text), 'A', '/auth/v1/verify'))).toBe(text);
  });

  it('reads back what it set, for any value that it accepts, and leaves the others', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), fc.string({ maxLength: 60 }), (value, rest) => {
        const before = parseEnv(`X_1=kept\n${rest.replace(/["'`]/g, '')}\n`);
        let written: ReturnType<typeof parseEnv>;
        try {
          written = setEnv(before, 'NEW', value);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENV_VALUE_UNSAFE' });
          return;
        }
        const again = parseEnv(printEnv(written));
        expect(getEnv(again, 'NEW')).toBe(value);
        expect(getEnv(again, 'X_1')).toBe(getEnv(before, 'X_1'));
      }),
      { numRuns },
    );
  });

  it.each([
    ['abc-1_2.3', ''],
    ['a b', "'"],
    ['pa$$w#rd', "'"],
    ["O'Brien", '"'],
    ['', ''],
  ])('quotes %j with %j', (value, quote) => {
    expect(quoteValue('A', value)).toEqual({ quote, raw: value });
  });

  it.each([`a'b"c`, `a'$b`, 'a\nb', `\${{project.X}}`])('refuses %j, which two readers would read differently (invariant 3)', (value) => {
    expect(() => quoteValue('SMTP_PASS', value)).toThrow(expect.objectContaining({ code: 'ENV_VALUE_UNSAFE' }));
  });

  it('lists every variable once with the value that wins', () => {
    expect([...envVariables(parseEnv('A=1\nB=2\nA=3'))]).toEqual([
      ['A', '3'],
      ['B', '2'],
    ]);
  });
});
