/** The three ways of writing a connection, taken apart; nothing is judged here. Pure. */
import { AppError } from '../../errors.ts';
import type { ConnectionWarning } from './connection-string.ts';

export type RawConnection = {
  host: string;
  port: string;
  user: string;
  password: string | undefined;
  database: string;
  options: Record<string, string>;
  warnings: ConnectionWarning[];
};

const notEncoded: ConnectionWarning = {
  code: 'PASSWORD_NOT_ENCODED',
  say: 'The password holds characters that must be percent-encoded in an address (@ is %40, / is %2F, % is %25); most programs will read it wrongly.',
};

/** What stands behind `postgresql://`. */
export function readUri(rest: string): RawConnection {
  const warnings: ConnectionWarning[] = [];
  const { login, place } = splitLogin(rest, warnings);
  const question = place.indexOf('?');
  const options = question < 0 ? {} : readQuery(place.slice(question + 1));
  const beforeQuery = question < 0 ? place : place.slice(0, question);
  const slash = beforeQuery.indexOf('/');
  const hostAndPort = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
  const { host, port } = readPlace(hostAndPort);
  const colon = login.indexOf(':');
  const user = decoded(colon < 0 ? login : login.slice(0, colon), []);
  const password = colon < 0 ? undefined : decoded(login.slice(colon + 1), warnings);
  const database = slash < 0 ? '' : decoded(beforeQuery.slice(slash + 1), []);
  return merged({ host, port, user, password, database, options, warnings });
}

/**
 * Splits the login off. Encoded as it should be, the login ends at the last @ before the first / or ?. People paste passwords
 * that hold these very characters: then it ends at the last @ of all, unless that @ stands in the value of an option.
 */
function splitLogin(rest: string, warnings: ConnectionWarning[]): { login: string; place: string } {
  const end = rest.search(/[/?]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const last = rest.lastIndexOf('@');
  if (last < 0) return { login: '', place: rest };
  const within = authority.lastIndexOf('@');
  const behind = rest.slice(last + 1);
  const inOption = /^[^:/?@]*(:\d+)?(\/[^?@]*)?\?[\w.]+=/.test(within < 0 ? rest : rest.slice(within + 1));
  const at = within >= 0 && (inOption || last === within || !isPlace(behind)) ? within : within < 0 && inOption ? -1 : last;
  if (at < 0) return { login: '', place: rest };
  const login = rest.slice(0, at);
  if (/[/?@#]/.test(login.slice(login.indexOf(':') + 1)) && !warnings.includes(notEncoded)) warnings.push(notEncoded);
  return { login, place: rest.slice(at + 1) };
}

function isPlace(text: string): boolean {
  return /^(\[[0-9a-f:.%]+\]|[\w.-]+)?(:\d*)?([/?].*)?$/is.test(text);
}

function readPlace(text: string): { host: string; port: string } {
  if (text.includes(',')) throw malformed('It names several hosts; give one of them.');
  const match = /^(?:\[([0-9a-fA-F:.%]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(text);
  if (match === null) throw malformed('Host and port cannot be told apart; an IPv6 address stands in brackets.');
  return { host: match[1] ?? decoded(match[2] ?? '', []), port: match[3] ?? '' };
}

/** `jdbc:postgresql://host:port/database?user=…`, or `jdbc:postgresql:database`. */
export function readJdbc(text: string): RawConnection {
  const match = /^jdbc:postgresql:(?:\/\/)?([\s\S]*)$/i.exec(text);
  if (match === null) throw malformed('Only jdbc:postgresql: is an address of Postgres.');
  const rest = match[1] ?? '';
  if (/^jdbc:postgresql:\/\//i.test(text)) return readUri(rest);
  const [database = '', query = ''] = splitOnce(rest, '?');
  return merged({
    host: '',
    port: '',
    user: '',
    password: undefined,
    database: decoded(database, []),
    options: readQuery(query),
    warnings: [],
  });
}

/** `key=value key='va\'lue'`, as libpq reads it. */
export function readKeywords(text: string): RawConnection {
  const words: Record<string, string> = {};
  const pattern = /\s*([a-z_][a-z0-9_]*)\s*=\s*(?:'((?:[^'\\]|\\[\s\S])*)'|((?:[^\s'\\]|\\[\s\S])(?:[^\s\\]|\\[\s\S])*)?)(?=\s|$)/gy;
  let at = 0;
  while (at < text.length && text.slice(at).trim() !== '') {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) throw malformed('A part of it is not of the form keyword=value.');
    words[match[1] ?? ''] = (match[2] ?? match[3] ?? '').replace(/\\([\s\S])/g, '$1');
    at = pattern.lastIndex;
  }
  return merged({ host: '', port: '', user: '', password: undefined, database: '', options: words, warnings: [] });
}

const places = ['host', 'hostaddr', 'port', 'user', 'password', 'dbname'] as const;

/** Options that name a part of the address stand for that part; as in libpq they win. */
function merged(raw: RawConnection): RawConnection {
  const named = Object.fromEntries(places.map((key) => [key, raw.options[key]]));
  const options = Object.fromEntries(Object.entries(raw.options).filter(([key]) => !places.some((each) => each === key)));
  const host = named['host'] ?? (raw.host === '' ? (named['hostaddr'] ?? '') : raw.host);
  if (host.includes(',')) throw malformed('It names several hosts; give one of them.');
  const port = named['port'] ?? raw.port;
  return {
    ...raw,
    host: host === '' ? 'localhost' : host,
    port: port === '' ? '5432' : port,
    user: orDefault(named['user'] ?? raw.user, 'postgres'),
    password: named['password'] ?? raw.password,
    database: named['dbname'] ?? raw.database,
    options,
  };
}

function orDefault(text: string, fallback: string): string {
  return text === '' ? fallback : text;
}

function readQuery(text: string): Record<string, string> {
  const options: Record<string, string> = {};
  for (const part of text.split('&')) {
    if (part === '') continue;
    const [key = '', value = ''] = splitOnce(part, '=');
    const name = decoded(key, []);
    if (!/^[\w.-]{1,63}$/.test(name)) throw malformed('The name of an option behind the question mark is not one.');
    options[name] = decoded(value, []);
  }
  return options;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** Percent-decoded; what is no encoding stays as it is, with a warning. */
function decoded(text: string, warnings: ConnectionWarning[]): string {
  try {
    return decodeURIComponent(text);
  } catch {
    if (!warnings.includes(notEncoded)) warnings.push(notEncoded);
    return text;
  }
}

function malformed(what: string): AppError {
  return new AppError('CONNECTION_STRING_INVALID', {
    message: `The connection string cannot be read. ${what}`,
    fix: 'Give one such as postgresql://postgres:PASSWORD@host:5432/postgres, its password percent-encoded.',
  });
}
