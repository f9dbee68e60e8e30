/**
 * The approver key and what it signed for good (engine.md A2). Invariants:
 * 1. The private key lies in `approver.json` only, encrypted under a passphrase that is kept nowhere.
 * 2. The public key is pinned in the database: another key file seals nothing.
 * 3. A rule counts while its signature is that of the pinned key; after a change of key the old ones are void.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  scrypt,
  sign,
  verify,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { eq, like } from 'drizzle-orm';
import { z } from 'zod';
import type { Approver, Seal, StandingRule } from '../engine/approver-port.ts';
import { AppError } from '../errors.ts';
import { writeAside } from './home.ts';
import type { Connection } from './sqlite/database.ts';
import { meta, targets } from './sqlite/schema.ts';

export type ApproverInfo = { keyId: string; since: string };

export type ApproverDesk = Approver & {
  info(): Promise<ApproverInfo | undefined>;
  /** Makes the key; over an existing one only with its passphrase. Throws APPROVER_EXISTS, PASSPHRASE_WRONG, PASSPHRASE_WEAK. */
  init(passphrase: string, present?: string): Promise<ApproverInfo>;
  /** Throws APPROVER_MISSING, APPROVER_FOREIGN, PASSPHRASE_WRONG. */
  unlock(passphrase: string): Promise<Seal>;
  /** `text` is what `ruleText` makes of the rule. */
  addRule(rule: StandingRule): Promise<void>;
  /** Throws RULE_UNKNOWN. */
  removeRule(id: string): Promise<void>;
  /** Every stored rule, void ones too. */
  allRules(): Promise<(StandingRule & { valid: boolean })[]>;
};

type Deps = {
  connection: Connection;
  file: string;
  sealedTags: readonly string[];
  ruleText: (rule: StandingRule) => string;
  /** Makes a passphrase known to the scrubber before anything can tell of it (S4). */
  register: (value: string) => void;
  now: () => number;
};

export const shortestPassphrase = 12;
const work = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };

const fileShape = z.strictObject({
  keyId: z.string(),
  kdf: z.literal('scrypt-2^17-8-1'),
  salt: z.string(),
  nonce: z.string(),
  ciphertext: z.string(),
});
const pinShape = z.strictObject({ keyId: z.string(), publicKey: z.string(), since: z.string() });
const ruleShape = z.strictObject({
  id: z.string(),
  workflow: z.string(),
  event: z.string().nullable(),
  tags: z.array(z.string()),
  expiresAt: z.number(),
  signature: z.string(),
});
const pinName = 'approver_key';
const ruleName = (id: string) => `approval_rule:${id}`;

export function createApprover({ connection, file, sealedTags, ruleText, register, now }: Deps): ApproverDesk {
  const { read, write } = connection;
  const pin = async (): Promise<z.infer<typeof pinShape> | undefined> => {
    const row = await read((db) => db.select().from(meta).where(eq(meta.key, pinName)).get());
    return row && pinShape.parse(JSON.parse(row.value));
  };

  const isSeal = async (text: string, signature: string): Promise<boolean> => {
    const pinned = await pin();
    if (!pinned) return false;
    const key = createPublicKey({ key: Buffer.from(pinned.publicKey, 'base64'), format: 'der', type: 'spki' });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));
  };

  const unlock = async (passphrase: string): Promise<Seal> => {
    register(passphrase);
    const pinned = await pin();
    if (!pinned) throw missing();
    const stored = readKeyFile(file);
    if (stored?.keyId !== pinned.keyId)
      throw new AppError('APPROVER_FOREIGN', {
        message: stored ? `The key file ${file} is not the approver key of this home.` : `The approver key file ${file} is not there.`,
        fix: 'Put it back from your copy.',
      });
    const key = await opened(stored, passphrase);
    return { keyId: pinned.keyId, sign: (text) => sign(null, Buffer.from(text), key).toString('base64') };
  };

  const stored = async (): Promise<StandingRule[]> =>
    (
      await read((db) =>
        db
          .select()
          .from(meta)
          .where(like(meta.key, ruleName('%')))
          .all(),
      )
    ).map((row) => ruleShape.parse(JSON.parse(row.value)));
  const allRules = async () =>
    Promise.all(
      (await stored()).map(async (rule) => ({ ...rule, valid: rule.expiresAt > now() && (await isSeal(ruleText(rule), rule.signature)) })),
    );

  return {
    sealedTags,
    exists: async () => (await pin()) !== undefined,
    verify: isSeal,
    targets: () => read((db) => db.select({ name: targets.name, tags: targets.tags }).from(targets).all()),
    rules: async () => (await allRules()).filter((rule) => rule.valid),
    allRules,
    async info() {
      const pinned = await pin();
      return pinned && { keyId: pinned.keyId, since: pinned.since };
    },
    async init(passphrase, present) {
      register(passphrase);
      if (passphrase.length < shortestPassphrase)
        throw new AppError('PASSPHRASE_WEAK', {
          message: `The passphrase has fewer than ${shortestPassphrase} characters.`,
          fix: 'Take several words.',
        });
      if (await pin()) {
        if (present === undefined)
          throw new AppError('APPROVER_EXISTS', {
            message: 'There is an approver key already.',
            fix: 'To put another in its place: capstan approver init --replace, with its passphrase.',
          });
        await unlock(present);
      }
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const keyId = randomUUID().slice(0, 8);
      writeAside(file, JSON.stringify(await closed(keyId, privateKey, passphrase)));
      const pinned = {
        keyId,
        publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
        since: new Date(now()).toISOString(),
      };
      const value = JSON.stringify(pinned);
      await write((db) => db.insert(meta).values({ key: pinName, value }).onConflictDoUpdate({ target: meta.key, set: { value } }).run());
      return { keyId, since: pinned.since };
    },
    unlock,
    async addRule(rule) {
      if (!(await isSeal(ruleText(rule), rule.signature))) throw new TypeError('a rule that the approver key did not sign');
      await write((db) =>
        db
          .insert(meta)
          .values({ key: ruleName(rule.id), value: JSON.stringify(ruleShape.parse(rule)) })
          .run(),
      );
    },
    async removeRule(id) {
      const { changes } = await write((db) =>
        db
          .delete(meta)
          .where(eq(meta.key, ruleName(id)))
          .run(),
      );
      if (changes === 0)
        throw new AppError('RULE_UNKNOWN', {
          message: `There is no standing rule ${JSON.stringify(id.slice(0, 60))}.`,
          fix: 'See them: capstan rules list.',
        });
    },
  };
}

function missing(): AppError {
  return new AppError('APPROVER_MISSING', {
    message: 'There is no approver key yet.',
    fix: 'The owner makes one at a terminal: capstan approver init.',
  });
}

type KeyFile = z.infer<typeof fileShape>;

function readKeyFile(path: string): KeyFile | undefined {
  try {
    return fileShape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined; // not there, or no key file of ours: the caller says which one it wanted
  }
}

function derive(passphrase: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), salt, 32, work, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

async function closed(keyId: string, key: KeyObject, passphrase: string): Promise<KeyFile> {
  const [salt, nonce] = [randomBytes(16), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', await derive(passphrase, salt), nonce).setAAD(Buffer.from(keyId));
  const body = Buffer.concat([cipher.update(key.export({ format: 'der', type: 'pkcs8' })), cipher.final(), cipher.getAuthTag()]);
  return {
    keyId,
    kdf: 'scrypt-2^17-8-1',
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    ciphertext: body.toString('base64'),
  };
}

async function opened({ keyId, salt, nonce, ciphertext }: KeyFile, passphrase: string): Promise<KeyObject> {
  const bytes = Buffer.from(ciphertext, 'base64');
  const key = await derive(passphrase, Buffer.from(salt, 'base64'));
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'))
      .setAAD(Buffer.from(keyId))
      .setAuthTag(bytes.subarray(-16));
    const plain = Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]);
    return createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new AppError('PASSPHRASE_WRONG', {
      message: 'That is not the passphrase of the approver key.',
      fix: 'Try again; nothing was approved.',
      cause,
    });
  }
}
