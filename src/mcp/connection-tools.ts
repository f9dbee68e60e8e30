/** How an agent learns whether and as whom it reaches a database, and who may do what there. */
import { AppError } from '../errors.ts';
import { fenced } from './fence.ts';
import { defineTool } from './tool.ts';
import * as connections from './toolsets/connections.ts';
import { withProgress } from './waiting.ts';

export const testConnection = defineTool(connections.testConnection, async ({ target }, call) => {
  const { next, ...answer } = await withProgress(call, 'Trying every way', () => call.app.testConnection(target, call.signal));
  return { ...answer, next: { who: answer.reachable ? 'you' : 'human', say: next } };
});

export const connect = defineTool(connections.connect, async ({ target, purpose = 'model-read' }, call) => {
  const way = await withProgress(call, 'Trying the ways in order', () => call.app.connect(target, purpose, call.signal));
  return { ...way, next: { who: 'you', say: 'execute_sql goes this way.' } };
});

export const checkAccess = defineTool(connections.checkAccess, async ({ target, schema, role, want }, call) => {
  if (want !== undefined && (schema === undefined || role === undefined))
    throw new AppError('ARGUMENTS_INVALID', {
      message: 'With want, check_access needs role and schema too.',
      fix: 'Name one role and one schema.',
    });
  const { rows, grants } = await call.app.checkAccess({ target, schema, role, want }, call.signal);
  return {
    target,
    access: fenced('rights of roles in schemas, one JSON object a line', rows),
    ...(grants === undefined ? {} : { grants }),
    next:
      grants === undefined || grants.length === 0
        ? { who: 'nobody', say: grants === undefined ? 'These are the rights as the catalog has them.' : 'No right is missing.' }
        : {
            who: 'you',
            say: 'grant-access gives exactly these, after a person approved them; tell the person why they are needed.',
            call: { tool: 'start_workflow', arguments: { workflow: 'grant-access', input: { target, role, schema, want } } },
          },
  };
});
