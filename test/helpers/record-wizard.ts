/** A program that walks the wizard on the sandbox, with two wrong turns, and prints its recording. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import { definitionOf } from '../../src/engine/registration.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { startSandbox } from '../../src/sandbox/start.ts';
import { hashJson } from '../../src/store/crypto.ts';
import { type Recording, toRecorded } from './recording.ts';
import { codeOf, me, openStage } from './wizard-stage.ts';

const folder = mkdtempSync(join(tmpdir(), 'capstan-twin-'));
const sandbox = await startSandbox({ dataDir: folder });
const stage = await openStage(sandbox);
const { engine, vault } = stage.app;

const started = await engine.start({ workflow: 'setup-supabase', name: 'recorded', input: {} }, me);
const lost = await stage.send(started.runId, 'connect', { dokploy: 'nobody' });
if (lost.state !== 'connect' || !lost.error) throw new Error(`an unknown Dokploy led to ${lost.state}`);
await stage.send(started.runId, 'connect', { dokploy: 'home' });
await stage.send(started.runId, 'name', { name: 'recorded' });
await stage.send(started.runId, 'generate');
await stage.send(started.runId, 'skipSmtp');
await stage.send(started.runId, 'domain', { host: 'first-thought.supabase.test' });
await stage.send(started.runId, 'change', { step: 'domain' });
const review = await stage.send(started.runId, 'domain', { host: 'recorded.supabase.test' });
await codeOf(engine.advance({ run: review.runId, event: 'approve' }, me));
await stage.approve(review.runId);
const done = await stage.send(review.runId, 'handover');
if (done.status !== 'done') throw new Error(`the wizard ended ${done.status} in ${done.state}`);

const events = toRecorded(await engine.timeline(done.runId, { after: 0, limit: 10_000 }), await stage.app.effects(done.runId));
const workflow = workflows['setup-supabase'];
const hash = hashJson(definitionOf(workflow, contracts, toJsonSchema));
const recording: Recording = { workflow: workflow.name, revision: workflow.revision, hash, events };
const text = JSON.stringify(recording, null, 1);
for (const reference of new Set(text.match(/secret:[0-9a-f-]{36}/g))) {
  if (text.includes(await vault.reveal(reference))) throw new Error(`the recording holds the value of ${reference}`);
}
await stage.close();
await sandbox.stop({ discard: true });
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${text}\n`, () => process.exit(0));
