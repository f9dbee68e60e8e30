/** Looking at backups; a damaged one is an error with its code, never an answer that says false. */
import { pageOf } from './pages.ts';
import { defineTool } from './tool.ts';
import * as backups from './toolsets/backups.ts';

export const listBackups = defineTool(backups.listBackups, async ({ target, limit = 50, cursor }, call) => {
  const rows = await call.app.listBackups(target);
  const keyEscrowed = await call.app.keyEscrowed();
  const [newest] = rows;
  const { rows: page, ...rest } = pageOf(rows, { idOf: ({ id }) => id, cursor, most: limit });
  return {
    backups: page,
    ...rest,
    keyEscrowed,
    next: keyEscrowed
      ? {
          who: 'you' as const,
          say: newest ? 'Restore one with the workflow restore; verify_backup reads one whole.' : 'Make one with the workflow backup.',
        }
      : {
          who: 'human' as const,
          say: 'Ask the person to keep the key of the backups elsewhere: capstan key export --to FILE, then capstan key confirm.',
        },
  };
});

export const verifyBackup = defineTool(backups.verifyBackup, async ({ backup }, call) => {
  const verdict = await call.app.verifyBackup(backup, call.signal, call.progress);
  return { ...verdict, next: { who: 'nobody' as const, say: `The backup ${backup} is whole.` } };
});
