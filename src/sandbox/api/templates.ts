import { z } from 'zod';
import { ApiFailure, type Call, mutation, type Procedure, query, text } from '../procedure.ts';
import { domainRow, mountRow } from '../rows.ts';
import { type ExpandedTemplate, expandTemplate } from '../template-expand.ts';
import type { World } from '../world.ts';
import { composeId, findCompose } from './compose.ts';

type Payload = { compose: string; template: ExpandedTemplate };

/** Decodes the base64 of JSON {compose, config}; throws the sentence the real server gives for a payload without them. */
function decode(base64: string, name: string, world: World): Payload {
  const payload = z.object({ compose: text, config: text }).safeParse(JSON.parse(Buffer.from(base64, 'base64').toString('utf8')));
  if (!payload.success) throw new Error("Cannot read properties of undefined (reading 'toString')");
  return { compose: payload.data.compose, template: expandTemplate(payload.data.config, name, world.ip) };
}

const failure = (doing: string, error: unknown): ApiFailure =>
  new ApiFailure('BAD_REQUEST', `Error ${doing} template: ${error instanceof Error ? error.message : String(error)}`);

function preview(base64: string, name: string, world: World): Payload {
  try {
    return decode(base64, name, world);
  } catch (error) {
    throw failure('processing', error);
  }
}

/** Not atomic: mounts and domains are gone before the payload is read. */
function importTemplate(input: { base64: string; composeId: string }, { world, applied }: Call) {
  const { rows } = world.state;
  const compose = findCompose(world, input.composeId);
  const others = <T extends { composeId: string | null }>(all: T[]) => all.filter((row) => row.composeId !== compose.composeId);
  rows.mounts = others(rows.mounts);
  rows.domains = others(rows.domains);
  applied({ composeId: compose.composeId });
  let payload: Payload;
  try {
    payload = decode(input.base64, compose.appName, world);
  } catch (error) {
    throw failure('importing', error);
  }
  compose.composeFile = payload.compose;
  compose.sourceType = 'raw';
  if (world.faults.take('half-write')) throw new ApiFailure('INTERNAL_SERVER_ERROR', 'Connection terminated unexpectedly');
  compose.env = payload.template.envs.join('\n');
  for (const mount of payload.template.mounts) rows.mounts.push(mountRow({ ...mount, composeId: compose.composeId, mountPath: '' }));
  for (const domain of payload.template.domains) {
    rows.domainCount += 1;
    rows.domains.push(domainRow({ ...domain, composeId: compose.composeId, domainType: 'compose' }, rows.domainCount));
  }
  return { success: true, message: 'Template imported successfully' };
}

/** The template procedures of router compose. */
export const templates: Record<string, Procedure> = {
  'compose.previewTemplate': mutation(
    z.object({ base64: text, appName: text }),
    ({ base64, appName }, { world }) => preview(base64, appName, world),
    '0.29.5',
  ),
  'compose.processTemplate': mutation(composeId.extend({ base64: text }), ({ base64, composeId: id }, { world }) =>
    preview(base64, findCompose(world, id).appName, world),
  ),
  'compose.import': mutation(composeId.extend({ base64: text }), importTemplate, '0.20.0'),
  // An unreachable server is an empty list, with 200.
  'compose.templates': query(z.object({ baseUrl: text.optional() }), async ({ baseUrl }) => {
    if (baseUrl === undefined) return [];
    try {
      const answer = await fetch(new URL('/meta.json', baseUrl), { signal: AbortSignal.timeout(10_000) });
      return answer.ok ? await answer.json() : [];
    } catch {
      return [];
    }
  }),
};
