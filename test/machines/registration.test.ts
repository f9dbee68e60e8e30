import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import { createHandlers } from '../../src/effects/handlers.ts';
import { faultsOf } from '../../src/engine/registration.ts';

const toJsonSchema = (schema: unknown) => z.toJSONSchema(schema as z.ZodType); // every schema here is zod's
const handlers = createHandlers({
  limiterFor: () => {
    throw new Error('registration calls nothing');
  },
});
const hands = {
  has: (name: string) => name in handlers,
  abilities: (name: string) => {
    const handler = handlers[name as keyof typeof handlers]; // `has` was asked before
    return { prepare: 'prepare' in handler, probe: 'probe' in handler, undo: 'undo' in handler, mayUndo: 'mayUndo' in handler };
  },
  bind: () => {
    throw new Error('registration runs nothing');
  },
};

describe('the wizard as a definition', () => {
  const workflow = workflows['setup-supabase'];

  it('breaks none of the rules R1 to R6', () => {
    expect(faultsOf(workflow, contracts, hands, toJsonSchema)).toEqual([]);
  });

  it('breaks them when an action, an onError or an undo is taken away', () => {
    const { undo: _, ...half } = handlers['dokploy.createProject@1'];
    const lacking = {
      ...hands,
      abilities: (name: string) =>
        name === 'dokploy.createProject@1' ? { prepare: true, probe: 'probe' in half, undo: false, mayUndo: false } : hands.abilities(name),
    };
    expect(faultsOf(workflow, contracts, lacking, toJsonSchema).join()).toContain('R4 dokploy.createProject@1');
  });

  it('has a before-image, a probe and an undo for every write', () => {
    for (const contract of Object.values(contracts)) {
      if ('readOnly' in contract || 'local' in contract) continue;
      // What says openly that it leaves something, or that nothing leads back from it, has nothing to undo.
      const undo = !('leaves' in contract || 'pointOfNoReturn' in contract);
      expect(hands.abilities(contract.name), contract.name).toMatchObject({ prepare: true, probe: true, ...(undo ? { undo } : {}) });
    }
  });

  it('is called by its own name and by the requested tools’ names', () => {
    expect(workflow.aliases).toContain('dokploy_setup_wizard');
    expect(workflow.steps).toHaveLength(9);
    expect(workflow.input.safeParse({}).success).toBe(true);
    expect(workflow.input.safeParse({ dokploy: 'http://203.0.113.7:3000' }).success).toBe(false);
    expect(workflow.input.safeParse({ apiKey: 'x' }).success).toBe(false);
  });
});

describe('payloads', () => {
  const payloads = new Map<string, z.ZodType>();
  for (const state of Object.values(workflows['setup-supabase'].machine.states)) {
    for (const [event, meta] of Object.entries(state.meta?.events ?? {})) payloads.set(event, meta.payload);
  }
  const smtp = { host: 'smtp.shop.org', port: 587, user: 'u', pass: 'env:MAIL', adminEmail: 'a@shop.org', senderName: 'Shop' };

  it('describe every field and forbid unknown ones', () => {
    for (const [event, payload] of payloads) {
      const schema = z.toJSONSchema(payload);
      expect(schema.additionalProperties, event).toBe(false);
      for (const [field, shape] of Object.entries(schema.properties ?? {}))
        expect(shape, `${event}.${field}`).toHaveProperty('description');
    }
  });

  it.each<[string, unknown, boolean]>([
    ['connect', { dokploy: 'home' }, true],
    ['connect', { dokploy: 'https://x' }, false],
    ['name', { name: 'shop' }, true],
    ['name', { name: 'My Project' }, false],
    ['name', { name: 'postgres' }, false],
    ['name', { name: 'shop', environment: 'prod' }, false],
    ['generate', {}, true],
    ['generate', { maxConnections: 19 }, false],
    ['generate', { maxConnections: 1000 }, true],
    ['generate', { maxConnections: 100.5 }, false],
    ['smtp', smtp, true],
    ['smtp', { ...smtp, port: 2500 }, false],
    ['smtp', { ...smtp, pass: 'hunter2' }, false],
    ['smtp', { ...smtp, senderName: 'a\nb' }, false],
    ['domain', { host: 'db.shop.org' }, true],
    ['domain', { host: 'localhost', certificate: 'none' }, true],
    ['domain', { host: 'https://db.shop.org' }, false],
    ['domain', { host: 'DB.shop.org' }, false],
    ['domain', { host: 'a_b.org' }, false],
    ['domain', { host: 'db.shop.org', redirectUrls: ['https://a/**', 'myapp://cb'] }, true],
    ['domain', { host: 'db.shop.org', redirectUrls: ['https://a,https://b'] }, false],
    ['domain', { host: 'db.shop.org', siteUrl: 'shop.org' }, false],
    ['change', { step: 'review' }, false],
    ['approve', {}, true],
    ['approve', { force: true }, false],
  ])('%s %j is judged %j', (event, payload, good) => {
    expect(payloads.get(event)?.safeParse(payload).success).toBe(good);
  });

  it('mark the password of the mail server as secret and every write as to be confirmed', () => {
    const states = workflows['setup-supabase'].machine.states;
    expect(states.smtp?.meta?.events?.smtp?.secret).toEqual(['pass']);
    expect(states.review?.meta?.events?.approve?.confirm).toBeTruthy();
    expect(states.awaitingCertificate?.meta?.events?.continueWithoutCertificate?.confirm).toBeTruthy();
    expect(states.verificationFailed?.meta?.events?.acceptWithWarning?.confirm).toBeTruthy();
  });
});

describe('the rule book', () => {
  it('uses no clock, no randomness and no I/O', () => {
    const folder = join(import.meta.dirname, '../../machines');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) {
      expect(readFileSync(join(folder, file), 'utf8'), file).not.toMatch(/Date\.now|new Date|Math\.random|from 'node:|fetch\(|process\./);
    }
  });
});
