import type { DeployQueue } from './deploy-queue.ts';
import type { Faults } from './faults.ts';
import type { Journal } from './journal.ts';
import type { StackFiles } from './stack/files.ts';
import type { Stacks } from './stack/stacks.ts';
import type { State } from './state.ts';

/** Everything a procedure of the pretended server may touch. */
export type World = {
  state: State;
  faults: Faults;
  journal: Journal;
  stacks: Stacks;
  files: StackFiles;
  queue: DeployQueue;
  /** Such as `v0.30.2`; the fault old-version changes it. */
  version(): string;
  /** The address that generated hosts point to. */
  ip: string;
};

/** Compares two version texts (`v0.30.2`, `0.29`): negative, 0 or positive. */
export function compareVersions(one: string, other: string): number {
  const parts = (text: string) => text.replace(/^v/, '').split('.').map(Number);
  const [a, b] = [parts(one), parts(other)];
  for (let index = 0; index < 3; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
