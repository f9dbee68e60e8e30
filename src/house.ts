/** One home with every hand on its desk: what the app opens, and what a test opens with a store that fails on purpose. */
import { readVariable } from './config.ts';
import { type Desk, type DeskOptions, openDesk } from './desk.ts';
import { createLimiters } from './effects/dokploy/rate-limit.ts';
import type { DokployConnection, Reach } from './effects/handler.ts';
import type { HandlerDeps } from './effects/handlers.ts';
import { createHands } from './effects/hands.ts';
import { lazyHandlers } from './effects/lazy-handlers.ts';
import type { StagedSecret, Vault } from './engine/ports.ts';
import { toJsonSchema } from './json-schema.ts';
import type { DokployRow } from './store/registry.ts';
import { toTargetRecord } from './target-place.ts';
import { type RuleBook, withStrangers } from './workflows/merge.ts';

export type Patience = Pick<HandlerDeps, 'healthTimeoutMs' | 'certificateTimeoutMs' | 'verifyPatienceMs' | 'deployPatienceMs'>;

export type HouseOptions = Pick<DeskOptions, 'home' | 'log' | 'scrubber' | 'sealedTags' | 'approvalTokens' | 'wrapStore' | 'clock'> & {
  book: RuleBook;
  patience?: Patience | undefined;
};

/** Throws the errors of home, key, migration and registration. */
export function openHouse({ book, patience, ...options }: HouseOptions): Promise<Desk> {
  return openDesk({
    ...options,
    workflows: book.workflows,
    contracts: book.contracts,
    toJsonSchema,
    readVariable,
    hands({ vault, registry, clock, rates, backups, self }) {
      const limiterFor = createLimiters({ turnstile: rates });
      const templateBaseUrlFor = async (name: string) => (await registry.dokploy(name)).options.templateBaseUrl;
      const own = lazyHandlers(async () => {
        const { createHandlers } = await import('./effects/handlers.ts');
        return createHandlers({ ...patience, limiterFor, templateBaseUrlFor, backups, home: self });
      });
      const handlers = { ...book.handlers, ...own };
      const hands = createHands({
        handlers,
        now: clock.now,
        wait: clock.wait,
        vault,
        dokploy: async (name) => connectionOf(vault, await registry.dokploy(name)),
        target: async (name) => toTargetRecord(await registry.target(name)),
        snapshots: (target) => registry.snapshots(target),
      });
      return withStrangers(hands);
    },
  });
}

/** How a stored dokploy is reached, its key and header values revealed. Throws the vault's errors. */
export async function connectionOf(
  vault: Vault,
  row: Omit<DokployRow, 'createdAt'>,
  staged: readonly StagedSecret[] = [],
): Promise<DokployConnection> {
  const { name, url, keySecret, options } = row;
  const headers: Record<string, string> = {};
  for (const [header, reference] of Object.entries(options.headers ?? {})) headers[header] = await vault.reveal(reference, staged);
  const reach: Reach = {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.headers === undefined ? {} : { headers }),
    ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
  };
  return { name, url, apiKey: await vault.reveal(keySecret, staged), reach };
}
