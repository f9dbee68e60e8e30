/** Recorded runs of released definitions, replayed: a change that would strand or mislead their runs fails here, with the event named. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import type { BundledWorkflow } from '../../src/engine/catalog.ts';
import { definitionOf } from '../../src/engine/registration.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { packageFile } from '../../src/package-root.ts';
import { createScrubber } from '../../src/scrub.ts';
import { hashJson } from '../../src/store/crypto.ts';
import { type Recording, replay } from '../helpers/recording.ts';

const folder = packageFile('test', 'definitions', 'recordings');
const texts = readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')] as const);
// Written by scripts/record-run.mjs alone.
const recordings = texts.map(([name, text]) => [name, JSON.parse(text) as Recording] as const);

/** The version that a run of this definition would go on under: its own if it is bundled, else the current one. */
function machineFor({ workflow, hash }: Recording) {
  const registered: BundledWorkflow | undefined = Object.values(workflows).find((each) => each.name === workflow);
  if (!registered) throw new Error(`${workflow} is no longer registered, but runs of it may exist`);
  const versions = [registered, ...(registered.older ?? [])];
  return (versions.find((version) => hashJson(definitionOf(version, contracts, toJsonSchema)) === hash) ?? registered).machine;
}

test('the wizard has a recording, and it has user events, outcomes and an error', () => {
  const own = recordings.filter(([, { workflow }]) => workflow === 'setup-supabase');
  expect(own.length).toBeGreaterThan(0);
  for (const [, { events }] of own) {
    expect(new Set(events.map((event) => event.source))).toEqual(new Set(['principal', 'effect']));
    expect(events.some((event) => event.type.startsWith('xstate.error.'))).toBe(true);
    expect(events.at(-1)?.state).toBe('done');
  }
});

test.each(recordings)('%s: every event is still taken and leads where it led', (name, recording) => {
  expect(
    replay(machineFor(recording), recording),
    `${name}: bundle the older definition, register a migration, or keep the behaviour`,
  ).toBe(undefined);
});

test.each(texts)('%s holds references to secrets, never a secret', (_, text) => {
  const withoutReferences = text.replaceAll(/\{\{secret:[0-9a-f-]{36}\}\}/g, ''); // where a password belongs in a connection string
  expect(createScrubber().scrub(withoutReferences)).toBe(withoutReferences);
});

test('a definition that changed is caught with the event named', () => {
  const [, recording] = recordings[0] ?? ['', { workflow: '', revision: 0, hash: '', events: [] }];
  const machine = machineFor(recording);
  const changed = (change: (events: Recording['events']) => Recording['events']) =>
    replay(machine, { ...recording, events: change(structuredClone(recording.events)) });
  const second = recording.events.findIndex((event) => event.type === 'generate');
  expect(second).toBeGreaterThan(0);
  expect(changed((events) => events.filter((_, index) => index !== second))).toMatch(
    /^event \d+ \(.*\) is no longer taken in the state secrets$/,
  );
  expect(changed((events) => events.map((event, index) => (index === second ? { ...event, type: 'produce' } : event)))).toBe(
    `event ${second + 1} (produce) is no longer taken in the state secrets`,
  );
  expect(changed((events) => events.map((event, index) => (index === second ? { ...event, state: 'elsewhere' } : event)))).toContain(
    'it led to elsewhere',
  );
  expect(changed((events) => events.map((event, index) => (index === second ? { ...event, starts: [] } : event)))).toContain(
    'it started []',
  );
});
