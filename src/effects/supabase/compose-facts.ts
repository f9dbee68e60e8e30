/** What a compose text and its gateway file say about an instance. Pure; unknown stays unknown. */
import { isMap, isScalar, parseDocument } from 'yaml';

export type ComposeService = { name: string; healthcheck: boolean };
export type PostgresImage = { image: string; tag: string; major: number | null };
export type ComposeFacts = { services: ComposeService[]; postgres: PostgresImage | null };

/** Services in the order of the text; a text that is no compose file has none. */
export function readComposeFacts(text: string): ComposeFacts {
  const document = parseDocument(text);
  const services = document.get('services');
  if (document.errors.length > 0 || !isMap(services)) return { services: [], postgres: null };
  const out: ComposeService[] = [];
  for (const { key } of services.items) {
    if (!isScalar(key) || typeof key.value !== 'string') continue;
    const check = document.getIn(['services', key.value, 'healthcheck']);
    const disabled = isMap(check) && check.get('disable') === true;
    out.push({ name: key.value, healthcheck: isMap(check) && !disabled });
  }
  const image = document.getIn(['services', 'db', 'image']);
  return { services: out, postgres: typeof image === 'string' ? readPostgresImage(image) : null };
}

/** `supabase/postgres:17.6.1.136` gives tag `17.6.1.136` and major 17; a digest or variable gives no major. */
export function readPostgresImage(image: string): PostgresImage {
  const tag = /:([^/@:]+)(?:@.*)?$/.exec(image)?.[1] ?? '';
  const major = /^v?(\d{1,3})(?:[.-]|$)/.exec(tag)?.[1];
  return { image, tag, major: major === undefined ? null : Number(major) };
}

/** Host under which kong.yml reaches Realtime's socket, such as `realtime`; null when it names none. */
export function realtimeHostOf(kongYml: string): string | null {
  return /url:\s*["']?https?:\/\/([^:/\s"']*realtime[^:/\s"']*):4000\/socket/.exec(kongYml)?.[1] ?? null;
}
