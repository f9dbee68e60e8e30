/** Planning new secrets although nothing is wrong with the present ones: the JWT secret, the database password, both in one change, or an encryption key. */
import { planRotation as contract } from '../../../machines/effects/rotate-secrets.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler } from '../handler.ts';
import { toCamelCase } from '../target/effects.ts';
import { planChange, type Wanted } from './plan.ts';
import { wantedKeys } from './repair-keys.ts';
import { planMetaKey, planVaultKey } from './rotate-keys.ts';
import { planPassword } from './rotate-password.ts';
import { assertReadable, readSnapshot } from './snapshot.ts';

const workflow = 'rotate-secrets';

export function planRotation(deps: DokployDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const snapshot = await readSnapshot(ctx, input.snapshot);
      assertReadable(snapshot);
      const { secret } = input.request;
      if (secret === 'vault-key' || secret === 'meta-key') {
        const { name, value, ...change } = secret === 'meta-key' ? planMetaKey(snapshot) : await planVaultKey(deps, ctx, snapshot);
        return planChange(ctx, snapshot, {
          ...change,
          workflow,
          note: { secrets: { [toCamelCase(name)]: ctx.secrets.mint(name, value) } },
        });
      }
      const keys: Wanted | undefined =
        secret === 'database-password' ? undefined : await wantedKeys(ctx, snapshot, { workflow, wantsNewSecret: true });
      if (keys && secret === 'jwt') return planChange(ctx, snapshot, keys);
      const { password, ...change } = await planPassword(deps, ctx, snapshot, keys?.env ?? snapshot.env);
      return planChange(ctx, snapshot, {
        ...keys,
        ...change,
        workflow,
        why: { ...keys?.why, ...change.why },
        warnings: [...(keys?.warnings ?? []), ...change.warnings],
        note: { ...keys?.note, secrets: { ...keys?.note?.secrets, postgresPassword: ctx.secrets.mint('POSTGRES_PASSWORD', password) } },
        say: `${keys ? `${keys.say} ` : ''}${sayOf(change.database.cells.length)}`,
      });
    },
  });
}

function sayOf(places: number): string {
  return `The database password is replaced in ${places} places of the database, in one transaction, and in the environment; every service starts anew with it.`;
}
