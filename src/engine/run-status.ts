/** Every status that a run can show (design §5), in the order in which doors list them; loads nothing, so that every door may use it. */
export const runStatuses = [
  'waiting',
  'working',
  'settling',
  'blocked',
  'held',
  'rolling_back',
  'needs_attention',
  'done',
  'failed',
  'cancelled',
] as const;

export type RunStatus = (typeof runStatuses)[number];
