/** Looking at backups; a damaged one is an error with its code, never an answer that says false. */
import { defineTool } from './tool.ts';
import * as backups from './toolsets/backups.ts';

export const listBackups = defineTool(backups.listBackups, async ({ target, limit = 50 }, call) => {
  const rows = await call.app.listBackups(target);
  const keyEscrowed = await call.app.keyEscrowed();
  const [newest] = rows;
  return {
    backups: rows.slice(0, limit),
    ...(rows.length > limit ? { leftOff: rows.length - limit } : {}),
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
