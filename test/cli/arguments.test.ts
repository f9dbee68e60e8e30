import { expect, test } from 'vitest';
import { checkArguments, unknownCommand, valuesOf } from '../../src/cli/arguments.ts';
import { nearest } from '../../src/cli/nearest.ts';
import { planText, runText, table } from '../../src/cli/render.ts';
import { applySettings, coerced } from '../../src/cli/script.ts';

const args = {
  run: { type: 'positional', required: true, description: 'which run' },
  set: { type: 'string' },
  wait: { type: 'boolean', alias: 'w' },
  check: { type: 'boolean', default: true },
} as const;
const check = (...raw: string[]) => checkArguments('capstan x', raw, args);

test.each([
  ['an unknown flag, with the nearest one', ['r', '--wiat'], 'has no flag "--wiat"', 'Did you mean --wait?'],
  ['an unknown flag without showing its value', ['r', '--password=hunter22'], 'has no flag "--password"', 'See capstan x --help'],
  ['a left-over word', ['r', 'more'], 'does not know what to do with "more"', 'See'],
  ['a missing positional', [], 'needs RUN', 'See'],
  ['a flag without its value at the end', ['r', '--set'], '--set needs a value', 'See'],
  ['a flag that would swallow the next flag', ['r', '--set', '--wait'], '--set needs a value', 'See'],
  ['a value on a switch', ['r', '--wait=yes'], '--wait takes no value', 'See'],
  ['a negation that does not exist', ['r', '--no-wait'], 'has no flag "--no-wait"', 'See'],
])('%s is refused', (_what, raw, message, fix) => {
  expect(() => check(...raw)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message), fix: expect.stringContaining(fix) }),
  );
});

test('what is declared passes, in every spelling', () => {
  expect(() => check('r', '--set', 'a=b', '--set=c=d', '-w', '--no-check')).not.toThrow();
  expect(() => check('--', '--odd-name')).not.toThrow();
  expect(valuesOf(['r', '--set', 'a=b', '--other', '--set=c=d', '--', '--set', 'e'], 'set')).toEqual(['a=b', 'c=d']);
});

test('the nearest word is near', () => {
  expect(nearest('lst', ['list', 'show'])).toBe('list');
  expect(nearest('workflow', ['workflows', 'worker'])).toBe('workflows');
  expect(nearest('frobnicate', ['list', 'show'])).toBeUndefined();
  expect(unknownCommand('capstan', 'runz', ['run', 'runs']).fix).toContain('Did you mean run');
});

test('settings fill the input, and events in the order of their first mention, after those of the file', () => {
  const file = { input: { dokploy: 'old' }, events: [{ event: 'name', payload: { name: 'shop' } }] };
  const script = applySettings('capstan run', file, [
    'dokploy=main',
    'domain.host=a.example',
    'skipSmtp.=',
    'domain.certificate=none',
    'x=a=b',
  ]);
  expect(script).toEqual({
    input: { dokploy: 'main', x: 'a=b' },
    events: [
      { event: 'name', payload: { name: 'shop' } },
      { event: 'domain', payload: { host: 'a.example', certificate: 'none' } },
      { event: 'skipSmtp', payload: {} },
    ],
  });
  expect(file.input).toEqual({ dokploy: 'old' });
  expect(() => applySettings('capstan run', file, ['novalue'])).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('texts become what the schema asks for, and stay texts where they do not fit', () => {
  const schema = {
    properties: { n: { type: 'integer' }, b: { type: 'boolean' }, a: { type: 'array' }, o: { type: 'object' }, s: { type: 'string' } },
  };
  expect(coerced({ n: '50', b: 'true', a: 'x, y', o: '{"k":1}', s: '7' }, schema)).toEqual({
    n: 50,
    b: true,
    a: ['x', 'y'],
    o: { k: 1 },
    s: '7',
  });
  expect(coerced({ n: 'many', b: 'yes', o: '{', unknown: '1' }, schema)).toEqual({ n: 'many', b: 'yes', o: '{', unknown: '1' });
  expect(coerced({ n: '50' }, undefined)).toEqual({ n: '50' });
});

test('a run and its plan read as sentences', () => {
  const view = {
    traceId: 'trace',
    runId: 'id',
    name: 'shop',
    workflow: 'setup-supabase',
    state: 'review',
    title: 'Review the plan',
    step: 6,
    steps: 9,
    status: 'waiting' as const,
    version: 11,
    waitingFor: [{ event: 'approve', title: 'Deploy as planned', payload: {}, confirm: 'Create it.' }],
    working: [],
    details: { plan: { url: 'https://a.example', summary: [{ variable: 'JWT_SECRET', change: 'generated', shown: '(secret)' }] } },
    error: { code: 'NAME_TAKEN', message: 'It is taken.', fix: 'Choose another.' },
    warnings: [{ code: 'SMTP_SKIPPED', say: 'No mail.' }],
    checkpoints: [{ to: 3, name: 'name', at: '' }],
    resource: '',
    next: { who: 'you' as const, say: 'Send one event.' },
  };
  const text = runText(view);
  for (const part of [
    'step 6 of 9',
    'NAME_TAKEN: It is taken.',
    'Choose another.',
    'SMTP_SKIPPED',
    'approve: Deploy as planned (needs approval)',
    '3 (name)',
    'next: Send one event.',
  ])
    expect(text).toContain(part);
  expect(planText(view.details)).toContain('JWT_SECRET  generated  (secret)');
  expect(planText({})).toBe('');
  expect(table([], ['a'])).toBe('(none)');
});
