import { expect, test } from 'vitest';
import { planText } from '../../src/cli/render.ts';

test('whoever approves at a terminal sees the difference, the containers and whether the database restarts', () => {
  const text = planText({
    plan: {
      say: 'a.org becomes b.org',
      changes: [{ what: 'variable', name: 'SITE_URL', before: 'http://a.org', after: 'https://b.org', why: 'follows the domain' }],
      recreated: ['kong', 'db'],
      databaseRestarts: true,
      writes: ['deploy "supabase"'],
      warnings: [{ code: 'DOMAIN_UNPROVEN', say: 'It was accepted without proof.' }],
    },
  });
  for (const part of [
    'a.org becomes b.org',
    'SITE_URL',
    'https://b.org',
    'kong, db',
    'The database restarts.',
    'deploy "supabase"',
    'DOMAIN_UNPROVEN',
  ])
    expect(text).toContain(part);
});

test('of a restart the containers, of a removal what is lost', () => {
  const restart = {
    containers: [{ service: 'auth', container: 'shop-auth-1', state: 'healthy' }],
    databaseRestarts: false,
    notes: ['It is not.'],
  };
  expect(planText({ plan: restart })).toMatch(/auth +shop-auth-1 +healthy/);
  const removal = { data: { tables: 3, users: 2, objects: 1 }, backup: null, writes: ['delete the service'], notes: ['No backup.'] };
  expect(planText({ plan: removal })).toMatch(/3 tables, 2 users and 1 stored objects[\s\S]*delete the service[\s\S]*No backup\./);
});
