/** The few ASN.1 forms that an X.509 certificate needs, as DER bytes (X.690). */

const withTag = (tag: number, content: Buffer): Buffer => {
  const length = content.length;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, 0x80 + bytes.length, ...bytes]), content]);
};

export const sequence = (...items: Buffer[]): Buffer => withTag(0x30, Buffer.concat(items));
export const set = (...items: Buffer[]): Buffer => withTag(0x31, Buffer.concat(items));
export const octets = (content: Buffer): Buffer => withTag(0x04, content);
export const utf8 = (text: string): Buffer => withTag(0x0c, Buffer.from(text, 'utf8'));
export const boolean = (value: boolean): Buffer => withTag(0x01, Buffer.from([value ? 0xff : 0]));
/** `[n]` around the content; `primitive` for strings such as a DNS name. */
export const tagged = (n: number, content: Buffer, primitive = false): Buffer => withTag((primitive ? 0x80 : 0xa0) + n, content);
export const bits = (content: Buffer, unused = 0): Buffer => withTag(0x03, Buffer.concat([Buffer.from([unused]), content]));

/** A non-negative integer from its bytes. */
export const integer = (bytes: Buffer): Buffer => withTag(0x02, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);

/** UTCTime; valid for years before 2050. */
export const utcTime = (at: Date): Buffer => withTag(0x17, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`, 'ascii'));

/** An object identifier such as `2.5.4.3`. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return withTag(0x06, Buffer.from([first * 40 + second, ...bytes]));
}
