/**
 * A small S3 that, unlike s3rver, checks the signature, the body's hash and the SHA-256 of each part and of the whole, and that fails on
 * order. Its own journal tells what reached it.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export type Trouble = { method: string; when: RegExp; times: number; as: '503' | '501' | 'hang' | 'drop' | 'corrupt' | 'corrupt-unseen' };
export type FakeS3 = {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  objects: Map<string, Buffer>;
  uploads: Map<string, { key: string; parts: Map<number, Buffer> }>;
  /** From now on it says nothing of checksums, as stores do that know none. */
  forgetChecksums(): void;
  journal: string[];
  trouble(trouble: Trouble): void;
  /** Ends every trouble. */
  heal(): void;
  /** Resolves with the next request. */
  next(): Promise<void>;
  close(): Promise<void>;
};

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const digest = (...pieces: Buffer[]) => createHash('sha256').update(Buffer.concat(pieces)).digest();
const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export async function startFakeS3(bucket = 'backups'): Promise<FakeS3> {
  const objects: FakeS3['objects'] = new Map();
  const uploads: FakeS3['uploads'] = new Map();
  const journal: string[] = [];
  const troubles: Trouble[] = [];
  let knowsChecksums = true;
  const arrived = new EventEmitter();
  const credentials = { accessKeyId: 'AKFAKE', secretAccessKey: randomUUID() };

  const xml = (response: ServerResponse, status: number, body = '') => {
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body && `<?xml version="1.0" encoding="UTF-8"?>${body}`);
  };
  const error = (response: ServerResponse, status: number, code: string) => xml(response, status, `<Error><Code>${code}</Code></Error>`);

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? '/', 'http://s3');
    const line = `${request.method} ${decodeURIComponent(url.pathname)}${url.search}`;
    journal.push(line);
    arrived.emit('request');
    const found = troubles.find((each) => each.times > 0 && each.method === request.method && each.when.test(line));
    if (found) {
      found.times -= 1;
      if (found.as === 'hang') return;
      if (found.as === 'drop') {
        request.once('data', () => request.socket.destroy());
        request.resume();
        return;
      }
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (found?.as === '503') return error(response, 503, 'SlowDown');
    if (found?.as === '501') return error(response, 501, 'NotImplemented');
    if (!signed(request, url, body, credentials)) return error(response, 403, 'SignatureDoesNotMatch');
    const [, name, ...rest] = decodeURIComponent(url.pathname).split('/');
    if (name !== bucket) return error(response, 404, 'NoSuchBucket');
    // As by bad memory behind the door; seen by whoever compares the checksum, unless it happens after that.
    const flip = () => body.writeUInt8(body.readUInt8(body.length >> 1) ^ 1, body.length >> 1);
    if (found?.as === 'corrupt') flip();
    const claimed = request.headers['x-amz-checksum-sha256'];
    if (knowsChecksums && claimed !== undefined && claimed !== digest(body).toString('base64')) return error(response, 400, 'BadDigest');
    if (found?.as === 'corrupt-unseen') flip();
    answer(request.method ?? '', rest.join('/'), url.searchParams, body, response);
  }

  const summed = (sum: string) => (knowsChecksums ? { 'x-amz-checksum-sha256': sum } : {});

  function answer(method: string, key: string, query: URLSearchParams, body: Buffer, response: ServerResponse) {
    const upload = uploads.get(query.get('uploadId') ?? '');
    if (method === 'POST' && query.has('uploads')) {
      const id = randomUUID();
      uploads.set(id, { key, parts: new Map() });
      return xml(
        response,
        200,
        `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    if (method === 'GET' && query.has('uploads')) {
      const rows = [...uploads].filter(([, each]) => each.key.startsWith(query.get('prefix') ?? ''));
      const list = rows.map(([id, each]) => `<Upload><Key>${each.key}</Key><UploadId>${id}</UploadId></Upload>`).join('');
      return xml(response, 200, `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${list}</ListMultipartUploadsResult>`);
    }
    if (query.has('uploadId') && !upload) return error(response, 404, 'NoSuchUpload');
    if (method === 'PUT' && upload) {
      upload.parts.set(Number(query.get('partNumber')), body);
      return response.writeHead(200, { etag: `"${sha256(body).slice(0, 32)}"`, ...summed(digest(body).toString('base64')) }).end();
    }
    if (method === 'POST' && upload) {
      const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
      const named = [...body.toString().matchAll(/<ChecksumSHA256>([^<]+)</g)].map(([, sum]) => sum);
      const sums = parts.map((part) => digest(part));
      if (knowsChecksums && named.length > 0 && named.join() !== sums.map((sum) => sum.toString('base64')).join())
        return error(response, 400, 'InvalidPart');
      objects.set(key, Buffer.concat(parts));
      uploads.delete(query.get('uploadId') ?? '');
      const whole = knowsChecksums ? `<ChecksumSHA256>${digest(...sums).toString('base64')}-${parts.length}</ChecksumSHA256>` : '';
      return xml(response, 200, `<CompleteMultipartUploadResult><Key>${key}</Key><ETag>"x"</ETag>${whole}</CompleteMultipartUploadResult>`);
    }
    if (method === 'DELETE' && upload) {
      uploads.delete(query.get('uploadId') ?? '');
      return response.writeHead(204).end();
    }
    if (method === 'PUT') {
      objects.set(key, body);
      return response.writeHead(200, { etag: `"${sha256(body).slice(0, 32)}"`, ...summed(digest(body).toString('base64')) }).end();
    }
    if (method === 'DELETE') {
      objects.delete(key);
      return response.writeHead(204).end();
    }
    if (method === 'GET' && key === '') {
      const rows = [...objects].filter(([name]) => name.startsWith(query.get('prefix') ?? ''));
      const list = rows.map(([name, data]) => `<Contents><Key>${name}</Key><Size>${data.length}</Size></Contents>`).join('');
      return xml(response, 200, `<ListBucketResult><IsTruncated>false</IsTruncated>${list}</ListBucketResult>`);
    }
    const object = objects.get(key);
    if (!object) return method === 'HEAD' ? response.writeHead(404).end() : error(response, 404, 'NoSuchKey');
    response.writeHead(200, { 'content-length': object.length, etag: '"x"' });
    return response.end(method === 'HEAD' ? undefined : object);
  }

  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    ...credentials,
    objects,
    uploads,
    journal,
    trouble: (trouble) => void troubles.push(trouble),
    forgetChecksums() {
      knowsChecksums = false;
    },
    heal: () => void troubles.splice(0),
    next: async () => void (await once(arrived, 'request')),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Signature version 4 over the request as it came in. */
function signed(
  request: IncomingMessage,
  url: URL,
  body: Buffer,
  { accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string },
): boolean {
  const found = /Credential=([^/]+)\/(\d+)\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)/.exec(
    request.headers.authorization ?? '',
  );
  if (!found || found[1] !== accessKeyId) return false;
  const [, , day = '', region = '', names = '', signature] = found;
  const claimed = String(request.headers['x-amz-content-sha256']);
  if (claimed !== 'UNSIGNED-PAYLOAD' && claimed !== sha256(body)) return false;
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const headers = names
    .split(';')
    .map((name) => `${name}:${String(request.headers[name]).trim().replace(/ +/g, ' ')}\n`)
    .join('');
  const path = url.pathname
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/');
  const canonical = [request.method, path, query, headers, names, claimed].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = ['s3', 'aws4_request'].reduce((last, part) => hmac(last, part), hmac(hmac(`AWS4${secretAccessKey}`, day), region));
  return hmac(key, text).toString('hex') === signature;
}
