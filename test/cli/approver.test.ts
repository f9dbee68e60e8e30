import { expect, test } from 'vitest';
import { atTerminal, capstan, jsonOf, whyNoTerminal } from '../helpers/cli.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';
import { codeOf, me, openStage } from '../helpers/wizard-stage.ts';

const why = whyNoTerminal();
const mustRun = process.env['CI'] === 'true' && process.platform === 'linux';
const atOne = why === undefined || mustRun ? test : test.skip;
const suffix = why === undefined ? '' : ` (skipped: ${why})`;
const passphrase = 'four quiet horses walk';
const type = (when: string, text: string) => ({ when, type: `${text}\r` });

const at = onSandbox(openStage);

const init = (again = passphrase) =>
  atTerminal(at.stage.home, ['approver', 'init'], [type('New passphrase', passphrase), type('The same once more', again)]);

test('without a terminal there is no approver key and no rule', async () => {
  expect((await capstan(at.stage.home, ['approver', 'init'])).stderr).toContain('TERMINAL_REQUIRED');
  expect((await capstan(at.stage.home, ['rules', 'add', '--workflow', 'setup-supabase', '--tag', 'x'])).stderr).toContain(
    'TERMINAL_REQUIRED',
  );
  expect(jsonOf(await capstan(at.stage.home, ['approver', 'show', '--json']))).toEqual({ key: null, sealedTags: ['production'] });
});

atOne(`a production target is approved with the passphrase only${suffix}`, async () => {
  // The wizard's runs name their dokploy; a target of that name is what they work on.
  await at.stage.app.registry.addTarget({ name: 'home', kind: 'self-hosted', tags: ['production'], record: {} }, []);
  expect((await init('something else entirely')).screen).toContain('PASSPHRASE_DIFFERS');
  const { runId } = await at.stage.toReview('sealed-shop');
  expect(await codeOf(at.stage.app.engine.advance({ run: runId, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  await at.stage.app.engine.hold(runId, me);
  const early = await atTerminal(
    at.stage.home,
    ['approve', 'sealed-shop'],
    [type("type the run's name", 'sealed-shop'), type('Passphrase of the approver key', passphrase)],
  );
  expect(early.screen).toContain('APPROVER_MISSING');
  const made = await init();
  expect(made.screen).toContain('is made');
  expect(made.screen).not.toContain(passphrase);
  expect((await atTerminal(at.stage.home, ['approver', 'init'], [])).screen).toContain('APPROVER_EXISTS');
  const wrong = await atTerminal(
    at.stage.home,
    ['approve', 'sealed-shop'],
    [type("type the run's name", 'sealed-shop'), type('Passphrase of the approver key', 'three quiet horses')],
  );
  expect(wrong.screen).toContain('PASSPHRASE_WRONG');
  expect(await at.stage.app.engine.inspect(runId)).toMatchObject({ state: 'review' });
  const right = await atTerminal(
    at.stage.home,
    ['approve', 'sealed-shop'],
    [type("type the run's name", 'sealed-shop'), type('Passphrase of the approver key', passphrase)],
  );
  expect(right.screen).not.toContain(passphrase);
  expect(await at.stage.app.engine.inspect(runId)).toMatchObject({ state: 'creatingProject' });
  const told = jsonOf(await capstan(at.stage.home, ['audit', '--run', runId, '--json']));
  expect(told['audit'] ?? told['rows']).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ action: 'approve advance approve', level: 'sealed', outcome: 'accepted' }),
      expect.objectContaining({ action: 'unlock the approver key', level: 'sealed', outcome: 'PASSPHRASE_WRONG', door: 'cli' }),
    ]),
  );
});

atOne(`a rule is signed at a terminal, listed, and taken back${suffix}`, async () => {
  await init();
  const add = ['rules', 'add', '--workflow', 'setup-supabase', '--tag', 'staging', '--days', '7'];
  expect((await atTerminal(at.stage.home, [...add, '--event', 'nothing'], [])).screen).toContain('it asks for: approve');
  const refused = await atTerminal(at.stage.home, add, [type("type the workflow's name", 'yes')]);
  expect(refused.screen).toContain('NOT_CONFIRMED');
  const answers = [type("type the workflow's name", 'setup-supabase'), type('Passphrase of the approver key', passphrase)];
  expect((await atTerminal(at.stage.home, add, answers)).screen).toContain('stands until');
  const { rules } = jsonOf(await capstan(at.stage.home, ['rules', 'list', '--json']));
  expect(rules).toEqual([expect.objectContaining({ workflow: 'setup-supabase', event: null, tags: ['staging'], valid: true })]);
  const [{ id = '' } = {}] = rules as { id?: string }[];
  expect((await capstan(at.stage.home, ['rules', 'remove', id])).exit).toBe(0);
  expect(jsonOf(await capstan(at.stage.home, ['rules', 'list', '--json']))).toEqual({ rules: [] });
});
