/**
 * The database password where it stands inside other texts: URLs of the environment, of the compose file, of mounted files. Pure.
 * Only the password of a URL, or the whole value of a variable that says so by its name, is replaced: a short password may be a word that means something else elsewhere.
 */
import { envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import type { ChangeDocument } from './document.ts';
import type { SnapshotDocument } from './snapshot.ts';

/** Names under which a whole value is the password of this database. */
const named = /(^|_)(PG|POSTGRES|DB|DATABASE)_?(PASS|PASSWORD)$/i;

type Texts = Pick<SnapshotDocument, 'env' | 'compose' | 'mounts'>;

export type Replaced = {
  env: string;
  compose: string;
  files: ChangeDocument['files'];
  /** Variables and files that embed it. */
  embedded: string[];
};

export function replacePassword({ env, compose, mounts }: Texts, { present, password }: { present: string; password: string }): Replaced {
  const inUrls = (text: string) =>
    [present, encodeURIComponent(present)].reduce((changed, old) => changed.replaceAll(`:${old}@`, `:${password}@`), text);
  const variables = [...envVariables(parseEnv(env))].flatMap(([name, value]) => {
    const wanted = value === present && named.test(name) ? password : inUrls(value);
    return wanted === value ? [] : [[name, wanted] as const];
  });
  const files = mounts.flatMap(({ mountId, filePath, content, type }) => {
    if (type !== 'file' || filePath === null || content === null) return [];
    const after = inUrls(content);
    return after === content ? [] : [{ mountId, filePath, before: content, after }];
  });
  const changedCompose = inUrls(compose);
  return {
    env: printEnv(variables.reduce((items, [name, value]) => setEnv(items, name, value), parseEnv(env))),
    compose: changedCompose,
    files,
    embedded: [
      ...variables.map(([name]) => name),
      ...(changedCompose === compose ? [] : ['docker-compose.yml']),
      ...files.map(({ filePath }) => filePath),
    ],
  };
}
