/** Whether Postgres, or a pooler of it, listens somewhere: told by the one byte that answers a wish for encryption (S, N, or E for a refusal). */
import { connect } from 'node:net';

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Undefined when nothing was answered within two seconds, or nothing at all. Never throws. */
export function speaksPostgres(host: string, port: number): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (verdict: boolean | undefined) => {
      socket.destroy();
      resolve(verdict);
    };
    socket.setTimeout(2_000, () => end(undefined));
    socket.on('connect', () => socket.write(sslRequest));
    socket.once('data', ([first]) => end(first !== undefined && 'SNE'.includes(String.fromCharCode(first))));
    socket.on('error', () => end(undefined));
    socket.on('close', () => end(undefined));
  });
}
