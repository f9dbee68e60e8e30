import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import type { Desk } from '../../src/desk.ts';
import { openHouse } from '../../src/house.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';

/** Opens a home for a moment, as `capstan dokploy add` and `targets add` do, and leaves it to other processes. */
export async function withRegistry<T>(home: string, act: (desk: Pick<Desk, 'registry' | 'vault' | 'backups'>) => Promise<T>): Promise<T> {
  const scrubber = createScrubber();
  const book = { workflows: Object.values(workflows), contracts, handlers: {} };
  const desk = await openHouse({ home, book, log: createLog({ level: 'silent', scrubber }), scrubber });
  try {
    return await act(desk);
  } finally {
    desk.close();
  }
}
