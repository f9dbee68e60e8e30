/** Every contract and the code that carries it out. A contract without a handler does not compile. */
import type { z } from 'zod';
import type { ContractName, Contracts } from '../../machines/effects/registry.ts';
import type { BackupReads } from './backup/book.ts';
import { createBackupHandlers } from './backup/effects.ts';
import { createBridgeHandlers } from './bridge/effects.ts';
import type { HomeFacts } from './bridge/standing.ts';
import { createChangeHandlers } from './change/effects.ts';
import type { ChangeDeps } from './change/write-effects.ts';
import { createDnsHandlers } from './dns/effects.ts';
import type { HealthDeps } from './dokploy/deploy-effects.ts';
import { createDokployHandlers } from './dokploy/effects.ts';
import type { EffectContext, Handler } from './handler.ts';
import { createSqlHandlers } from './postgres/effects.ts';
import { createGrantHandlers } from './postgres/grant-effects.ts';
import { createReadLoginHandlers } from './postgres/read-login-effects.ts';
import { createSeedHandlers } from './postgres/seed-effects.ts';
import { createSmtpHandlers } from './smtp/effects.ts';
import { createSupabaseHandlers } from './supabase/effects.ts';
import type { VerifyDeps } from './supabase/verify-effects.ts';
import { createTargetHandlers } from './target/effects.ts';
import { createTargetLiveHandlers } from './target/live-effects.ts';
import { createTemplateHandlers, type TemplateDeps } from './template/effects.ts';
import { type CertificateDeps, createTlsHandlers } from './tls/effects.ts';

export type HandlerDeps = ChangeDeps &
  HealthDeps &
  CertificateDeps &
  VerifyDeps &
  Partial<TemplateDeps> & {
    /** The backup index; without it the backup workflows say that there is none. */
    backups?: BackupReads;
    /** What this home knows of itself; without it the bridge workflows say that there is none. */
    home?: HomeFacts;
    vaultKeyFile?: string;
  };

type Input<N extends ContractName> = z.infer<Contracts[N]['input']>;
type Output<N extends ContractName> = z.infer<Contracts[N]['output']>;

/** What must hold of each entry: input and output as its contract says; the before-image is the handler's own affair. */
type Checked = {
  [N in ContractName]: Omit<Handler<Input<N>, Output<N>, never>, 'prepare'> & {
    prepare?: (ctx: EffectContext, input: Input<N>) => Promise<unknown>;
  };
};

/** As the engine's side takes them: it validates inputs and outputs by the contracts and hands back what `prepare` gave. */
export type Handlers = Record<ContractName, Handler<never, unknown, never>>;

/** Builds all handlers. Nothing heavy is loaded before the first call. */
export function createHandlers(deps: HandlerDeps): Handlers {
  const templateBaseUrlFor = deps.templateBaseUrlFor ?? (async () => undefined);
  const handlers = {
    ...createDokployHandlers(deps),
    ...createTemplateHandlers({ templateBaseUrlFor }),
    ...createSupabaseHandlers(deps),
    ...createSeedHandlers(deps),
    ...createSmtpHandlers(),
    ...createDnsHandlers(deps),
    ...createTlsHandlers(deps),
    ...createTargetHandlers(),
    ...createTargetLiveHandlers(deps),
    ...createChangeHandlers(deps),
    ...createBackupHandlers({ ...deps, backups: deps.backups ?? noBackups }),
    ...createSqlHandlers(deps),
    ...createGrantHandlers(deps),
    ...createBridgeHandlers({ ...deps, home: deps.home ?? noHome }),
    ...createReadLoginHandlers(deps),
  } satisfies Checked;
  // Checked above; here the types are forgotten that differ by handler and that nobody outside may rely on.
  return handlers as unknown as Handlers;
}

const noIndex = async (): Promise<never> => {
  throw new TypeError('these handlers were built without an index of backups');
};
const noBackups: BackupReads = { store: noIndex, keys: noIndex, recipients: noIndex, backups: noIndex, backup: noIndex };

const noHome: HomeFacts = {
  get installation(): never {
    throw new TypeError('these handlers were built without a home');
  },
  runIsOver: async () => {
    throw new TypeError('these handlers were built without a home');
  },
};
