/** What the sandbox's own journal says of a demo (issue: judged by the journal, never by our ledger). Pure. */
import { z } from 'zod';

export const journalSchema = z.array(
  z.object({
    n: z.number(),
    procedure: z.string(),
    status: z.number(),
    applied: z.boolean(),
    identity: z.record(z.string(), z.string()),
    body: z.unknown(),
    sha256: z.string(),
  }),
);
export type Journal = z.infer<typeof journalSchema>;
type Entry = Journal[number];

const countedOtherwise = new Set(['compose.deploy', 'docker.startContainer', 'docker.stopContainer']);

/**
 * How many writes took place more than once. Writes that carry an operation key are the same when procedure and key agree;
 * the others when procedure, object and body agree. A deployment counts by its job (`job.deploy`), not by the request for it; a container
 * that is stopped and started is switched, and the journal calls that applied only when it stood the other way.
 */
export function countAppliedTwice(journal: Journal): number {
  const seen = new Set<string>();
  let twice = 0;
  for (const entry of journal.filter(({ applied, procedure }) => applied && !countedOtherwise.has(procedure))) {
    const mark = markOf(entry);
    if (seen.has(mark)) twice++;
    seen.add(mark);
  }
  return twice;
}

function markOf(entry: Entry): string {
  const key = operationKey(entry);
  const object = Object.values(entry.identity).sort().join(',');
  return key === undefined ? `${entry.procedure} ${object} ${entry.sha256}` : `${entry.procedure} ${key}`;
}

/** Capstan writes its effect key into descriptions: `capstan <run>:<entry>:<invoke>`, with `undo:` before it when it takes back. */
function operationKey(entry: Entry): string | undefined {
  const description = z.object({ description: z.string() }).safeParse(entry.body).data?.description;
  return description === undefined ? undefined : /(undo:)?[0-9a-f-]{36}:\d+:\w+/.exec(description)?.[0];
}

/** Objects that a run made and that were never removed again, by the journal alone. */
export function leftoversOf(journal: Journal, runId: string): string[] {
  const made = new Map<string, string>();
  for (const entry of journal.filter((candidate) => candidate.applied)) {
    const { projectId, composeId } = entry.identity;
    if (entry.procedure === 'project.create' && projectId && operationKey(entry)?.startsWith(runId))
      made.set(projectId, `project ${projectId}`);
    if (entry.procedure === 'compose.create' && composeId && operationKey(entry)?.startsWith(runId))
      made.set(composeId, `compose ${composeId}`);
    if (entry.procedure === 'project.remove' && projectId) made.delete(projectId);
    if (entry.procedure === 'compose.delete' && composeId) made.delete(composeId);
  }
  return [...made.values()];
}

export type Verdicts = {
  resumed: boolean;
  verified: boolean;
  probes: { name: string; ok: boolean }[];
  effectsAppliedTwice: number;
  rolledBack: boolean;
  leftovers: number;
  seconds: number;
};

export function isGood(verdicts: Verdicts): boolean {
  return verdicts.resumed && verdicts.verified && verdicts.effectsAppliedTwice === 0 && verdicts.rolledBack && verdicts.leftovers === 0;
}
