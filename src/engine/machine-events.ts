/** Every event that a machine takes from outside in any of its states, by what its `meta` says (R5). Pure. */

export type MachineEvent = { type: string; title: string; confirmed: boolean; secret: readonly string[] };

type Stateful = {
  meta?: { events?: Record<string, { title: string; confirm?: string; secret?: readonly string[] }> };
  states?: Record<string, Stateful>;
};

/** One row per event: confirmed where any state asks for a yes, with every secret field of any state. */
export function eventsOf(machine: { config: unknown }): MachineEvent[] {
  const found = new Map<string, MachineEvent>();
  const visit = (state: Stateful): void => {
    for (const [type, { title, confirm, secret = [] }] of Object.entries(state.meta?.events ?? {})) {
      const known = found.get(type);
      found.set(type, {
        type,
        title: known?.title ?? title,
        confirmed: known?.confirmed === true || confirm !== undefined,
        secret: [...new Set([...(known?.secret ?? []), ...secret])],
      });
    }
    for (const inner of Object.values(state.states ?? {})) visit(inner);
  };
  visit(machine.config as Stateful); // XState types a config over every name in it; only meta is read
  return [...found.values()];
}
