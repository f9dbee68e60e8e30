/** Finding one deployment among those that the server still remembers, by the operation id that it carries. Pure. */
import type { DeploymentRow, QueueRow } from './schemas.ts';

export type FoundDeployment =
  | { where: 'row'; row: DeploymentRow }
  | { where: 'queue'; state: string }
  /** Neither queued nor begun: the job was lost (a restart of Dokploy empties its queue) or never accepted. */
  | { where: 'nowhere' };

/** Its row, newest first: raw sources keep title and description as they were sent. */
export function findRow(rows: DeploymentRow[], operationId: string): DeploymentRow | undefined {
  return rows.find((row) => carries(row.description, operationId) || carries(row.title, operationId));
}

/** Its place in the queue. */
export function findQueued(queue: QueueRow[], composeId: string, operationId: string): QueueRow | undefined {
  return queue.find(
    ({ data }) =>
      (data.composeId ?? composeId) === composeId && (carries(data.titleLog, operationId) || carries(data.descriptionLog, operationId)),
  );
}

/** An id counts only as a whole word, so that `run:1:x` is not found in `run:1:x2`. */
function carries(text: string | null | undefined, operationId: string): boolean {
  if (!text || operationId === '') return false;
  for (let at = text.indexOf(operationId); at !== -1; at = text.indexOf(operationId, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + operationId.length] ?? ' ';
    if (!/[\w:-]/.test(before) && !/[\w:-]/.test(after)) return true;
  }
  return false;
}
