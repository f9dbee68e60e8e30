/**
 * Memory while a door opens (design §11). Loading several hundred modules makes much short-lived garbage, and V8 then doubles the space
 * for young objects up to 32 MB, which an idle server never gives back. Node cannot be started with options by an MCP client. A process
 * that carries work holds it all its life: a backup that streams 80 MB to S3 then takes 170 MB at its height, else 240, in the same time.
 * Invariant: only the speed of growth is set, an ordinary run-time flag; where V8 does not know it, nothing happens.
 */
import { setFlagsFromString } from 'node:v8';

const usual = 2;

/** From now on the young space stays as small as it is. */
export function holdYoungSpace(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Lets it grow again, for the work that comes. */
export function releaseYoungSpace(): void {
  setFlagsFromString(`--semi-space-growth-factor=${usual}`);
}
