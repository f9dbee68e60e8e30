import { readdirSync, readFileSync } from 'node:fs';

/** Command lines and environments of every process, as another process sees them. */
export function seenInProc(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return /capstan|main\.js|pg_dump|zstd/.test(command) ? command + readFileSync(`/proc/${pid}/environ`, 'latin1') : '';
      } catch {
        return '';
      }
    })
    .join('\n');
}
