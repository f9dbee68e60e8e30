/**
 * Files of users import `capstan-mcp`, `xstate` and `zod`. They get ours, wherever their folder lies: two copies of XState
 * in one process are two kinds of machines, and a folder without node_modules would find none.
 */
import * as nodeModule from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

type Resolved = { url: string; shortCircuit?: boolean };
type Resolve = (specifier: string, context: { parentURL?: string }, next: (specifier: string, context: unknown) => Resolved) => Resolved;

let provided: Record<string, string> | undefined;

/** From now on, once per process, files outside our package and outside any node_modules get our copies. */
export function provideOwnPackages(): void {
  if (provided) return;
  const ours = extname(fileURLToPath(import.meta.url));
  provided = {
    'capstan-mcp': new URL(`../define${ours}`, import.meta.url).href,
    xstate: import.meta.resolve('xstate'),
    zod: import.meta.resolve('zod'),
  };
  // Newer than our types, which are those of the oldest Node that we run on.
  const { registerHooks } = nodeModule as { registerHooks?: (hooks: { resolve: Resolve }) => unknown };
  const table = provided;
  if (registerHooks) {
    registerHooks({
      resolve: (specifier, context, next) => {
        const url = isUsers(context.parentURL) ? table[specifier] : undefined;
        return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
      },
    });
    return;
  }
  nodeModule.register(`data:text/javascript,${encodeURIComponent(hookSource(table))}`);
}

const root = new URL('..', import.meta.url).href;

function isUsers(parent: string | undefined): boolean {
  return parent?.startsWith('file:') === true && !parent.includes('/node_modules/') && !parent.startsWith(root);
}

/** The same in a text, since Node 20 runs hooks in a thread of their own. */
function hookSource(table: Record<string, string>): string {
  return `const table = ${JSON.stringify(table)}, root = ${JSON.stringify(root)};
export async function resolve(specifier, context, next) {
  const parent = context.parentURL;
  const users = parent !== undefined && parent.startsWith('file:') && !parent.includes('/node_modules/') && !parent.startsWith(root);
  return users && Object.hasOwn(table, specifier) ? { url: table[specifier], shortCircuit: true } : next(specifier, context);
}`;
}
