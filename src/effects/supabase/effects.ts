/** The handlers of the Supabase contracts, by name. */
import type { DokployDeps } from '../dokploy/session.ts';
import { createPlanHandlers } from './plan-effects.ts';
import { createSecretHandlers } from './secret-effects.ts';
import { createVerifyHandlers, type VerifyDeps } from './verify-effects.ts';

export function createSupabaseHandlers(deps: DokployDeps & VerifyDeps) {
  return { ...createPlanHandlers(deps), ...createSecretHandlers(), ...createVerifyHandlers(deps) };
}
