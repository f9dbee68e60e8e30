/** The few messages of Postgres' protocol by which a pooler lets somebody in or not. */
import type { Socket } from 'node:net';

const sslRequest = 80_877_103;

function message(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const text = (value: string) => Buffer.from(`${value}\0`);
const number = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

export const cleartextPassword = () => message('R', number(3));
export const authenticationOk = () => message('R', number(0));
export const parameterStatus = (name: string, value: string) => message('S', text(name), text(value));
export const readyForQuery = () => message('Z', Buffer.from('I'));
export const fatal = (code: string, say: string) =>
  message('E', text('SFATAL'), text('VFATAL'), text(`C${code}`), text(`M${say}`), Buffer.from([0]));

/** User and database of a startup message. */
export function startupOf(body: Buffer): { user: string; database: string } {
  const words = body.subarray(4).toString('utf8').split('\0');
  const value = (name: string) => words[words.findIndex((word, index) => index % 2 === 0 && word === name) + 1] ?? '';
  return { user: value('user'), database: value('database') || 'postgres' };
}

export type Reader = { startup(): Promise<Buffer>; password(): Promise<string>; rest(): Buffer };

/** Reads messages off a socket until the caller pipes it on. */
export function createReader(socket: Socket): Reader {
  let kept = Buffer.alloc(0);
  let wake: () => void = () => undefined;
  const take = (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]);
    wake();
  };
  socket.on('data', take);
  socket.once('close', () => wake());

  async function bytes(count: number): Promise<Buffer> {
    while (kept.length < count) {
      if (socket.destroyed) throw new Error('the client went away');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const wanted = kept.subarray(0, count);
    kept = kept.subarray(count);
    return wanted;
  }

  return {
    async startup() {
      for (;;) {
        const length = (await bytes(4)).readInt32BE();
        if (length < 8 || length > 10_000) throw new Error('invalid length of startup packet');
        const body = await bytes(length - 4);
        if (body.readInt32BE() !== sslRequest) return body;
        socket.write('N');
      }
    },
    async password() {
      const head = await bytes(5);
      if (head.toString('latin1', 0, 1) !== 'p') throw new Error('expected a password');
      return (await bytes(head.readInt32BE(1) - 4)).toString('utf8').replace(/\0$/, '');
    },
    rest() {
      socket.off('data', take);
      return kept;
    },
  };
}
