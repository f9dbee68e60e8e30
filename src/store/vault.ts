/** Secrets and artifacts at rest (engine.md S1-S3): AES-256-GCM, random nonce, bound to id and scope. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { eq } from 'drizzle-orm';
import type { StagedSecret, Vault } from '../engine/ports.ts';
import { AppError } from '../errors.ts';
import type { Scrubber } from '../scrub.ts';
import type { HomeKey } from './home.ts';
import type { Connection } from './sqlite/database.ts';
import { artifacts, secrets } from './sqlite/schema.ts';

export type VaultDeps = {
  connection: Connection;
  key: HomeKey;
  artifactFolder: string;
  scrubber: Scrubber;
  now: () => number;
  readVariable: (name: string) => string | undefined;
  readSecretFile: (path: string) => string;
};

/** Values pass the scrubber's register before they are returned. Throws SECRET_UNKNOWN, SECRET_UNREADABLE, ARTIFACT_UNKNOWN. */
export function createVault(deps: VaultDeps): Vault {
  const { connection, key, scrubber } = deps;

  const encrypt = (aad: string, plain: Buffer): { nonce: Buffer; ciphertext: Buffer } => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(Buffer.from(aad));
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    return { nonce, ciphertext: Buffer.concat([body, cipher.getAuthTag()]) };
  };
  const decrypt = (aad: string, nonce: Uint8Array, ciphertext: Uint8Array): Buffer => {
    const bytes = Buffer.from(ciphertext);
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, nonce).setAAD(Buffer.from(aad)).setAuthTag(bytes.subarray(-16));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]);
    } catch (cause) {
      throw new AppError('SECRET_UNREADABLE', {
        message: 'Something encrypted in the store does not open with this key.',
        fix: 'Put the right key file back into CAPSTAN_HOME.',
        cause,
      });
    }
  };

  const stageSecret = (scope: string, name: string, value: string, id: string = randomUUID()): StagedSecret => {
    scrubber.register(value);
    return { id, scope, name, keyId: key.id, ...encrypt(`${id}|${scope}`, Buffer.from(value)) };
  };

  const open = (row: StagedSecret): string => {
    const value = decrypt(`${row.id}|${row.scope}`, row.nonce, row.ciphertext).toString();
    scrubber.register(value);
    return value;
  };

  const fingerprint = (value: string): string => createHmac('sha256', key.bytes).update(`fingerprint|${value}`).digest('hex');

  const resolve = (reference: string): string => {
    const [kind, rest] = [reference.slice(0, reference.indexOf(':')), reference.slice(reference.indexOf(':') + 1)];
    const value = kind === 'env' ? deps.readVariable(rest) : deps.readSecretFile(rest);
    if (value !== undefined && value !== '') return value;
    throw new AppError('SECRET_UNREADABLE', {
      message: `The reference ${kind}:${rest} gives nothing.`,
      fix: kind === 'env' ? 'Set that variable for the process that runs Capstan.' : 'Write the secret into that file.',
    });
  };

  const reveal = async (reference: string, staged: readonly StagedSecret[] = []): Promise<string> => {
    const id = reference.replace(/^secret:/, '');
    const row =
      staged.find((candidate) => candidate.id === id) ??
      (await connection.read((db) => db.select().from(secrets).where(eq(secrets.id, id)).get()));
    if (!row)
      throw new AppError('SECRET_UNKNOWN', {
        message: `There is no secret ${id}.`,
        fix: 'If a person was asked for it on the page, they have not given it yet; otherwise it may belong to another CAPSTAN_HOME.',
      });
    return open(row);
  };

  return {
    keyId: key.id,
    seal: async (scope, value) => {
      const { nonce, ciphertext } = encrypt(scope, Buffer.from(JSON.stringify(value ?? null)));
      return Buffer.concat([nonce, ciphertext]);
    },
    unseal: async (scope, bytes) => JSON.parse(decrypt(scope, bytes.subarray(0, 12), bytes.subarray(12)).toString()) as unknown,
    async handOver(reference, scope, name) {
      if (reference.startsWith('secret:')) return { reference, fingerprint: fingerprint(await reveal(reference)) };
      const value = resolve(reference);
      const staged = stageSecret(scope, name, value);
      return { reference: `secret:${staged.id}`, staged, fingerprint: fingerprint(value) };
    },
    stageSecret,
    reveal,
    async stageArtifact(role, media, text) {
      const id = randomUUID();
      await connection.write((db) =>
        db.insert(artifacts).values({ id, role, media, keyId: key.id, bytes: text.length, status: 'pending', createdAt: deps.now() }).run(),
      );
      const { nonce, ciphertext } = encrypt(`artifact:${id}`, Buffer.from(text));
      writeDurably(deps.artifactFolder, id, Buffer.concat([nonce, ciphertext]));
      return { id, role, media, keyId: key.id, bytes: text.length };
    },
    async readArtifact(reference) {
      const id = reference.replace(/^artifact:/, '');
      const row = await connection.read((db) => db.select({ id: artifacts.id }).from(artifacts).where(eq(artifacts.id, id)).get());
      if (!row)
        throw new AppError('ARTIFACT_UNKNOWN', {
          message: `There is no artifact ${id.slice(0, 40)}.`,
          fix: 'It may belong to another CAPSTAN_HOME.',
        });
      const bytes = readFileSync(join(deps.artifactFolder, row.id));
      return decrypt(`artifact:${row.id}`, bytes.subarray(0, 12), bytes.subarray(12)).toString();
    },
  };
}

/** Temporary file, fsync, rename, fsync of the folder (S3). */
function writeDurably(folder: string, id: string, bytes: Buffer): void {
  const aside = join(folder, `${id}.part`);
  const file = openSync(aside, 'wx', 0o600);
  try {
    writeSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, join(folder, id));
  if (process.platform === 'win32') return; // folders cannot be synced there
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
