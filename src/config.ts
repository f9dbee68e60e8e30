/** The only reader of the environment and of the configuration file; parsed once, frozen, unknown keys refused (design §3). */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from './errors.ts';

export type Config = {
  /** Where state lives (design §6). */
  readonly home: string;
  readonly logLevel: string;
  /** Tags whose targets take only sealed approvals (engine.md A2); left out: production. */
  readonly sealedTags?: readonly string[];
  /** Agents may hand back a token where a person must approve (level `agent-vouched`). Default: false. */
  readonly approvalTokens?: true;
};

const levels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
const known = new Set(['CAPSTAN_HOME', 'CAPSTAN_LOG']);
const fileSchema = z.strictObject({
  logLevel: z.enum(levels).optional(),
  sealedTags: z.array(z.string().min(1)).optional(),
  approvalTokens: z.boolean().optional(),
});

type Environment = Record<string, string | undefined>;

/** Throws CONFIG_INVALID on an unknown `CAPSTAN_*` variable (but `CAPSTAN_TEST_*`), a bad value or an unknown key of `config.json`. */
export function readConfig(env: Environment = process.env, platform: string = process.platform): Config {
  for (const name of Object.keys(env)) {
    if (name.startsWith('CAPSTAN_') && !name.startsWith('CAPSTAN_TEST_') && !known.has(name)) {
      throw new AppError('CONFIG_INVALID', {
        message: `The environment variable ${name} is not known.`,
        fix: `Known are: ${[...known].join(', ')}.`,
      });
    }
  }
  const home = env['CAPSTAN_HOME'] ?? defaultHome(env, platform);
  const file = readFile(join(home, 'config.json'));
  const logLevel = z.enum(levels).safeParse(env['CAPSTAN_LOG'] ?? file.logLevel ?? 'info');
  if (!logLevel.success)
    throw new AppError('CONFIG_INVALID', { message: `CAPSTAN_LOG is not a log level.`, fix: `Use one of: ${levels.join(', ')}.` });
  return Object.freeze({
    home,
    logLevel: logLevel.data,
    ...(file.sealedTags ? { sealedTags: Object.freeze(file.sealedTags) } : {}),
    ...(file.approvalTokens === true ? { approvalTokens: true } : {}),
  });
}

function defaultHome(env: Environment, platform: string): string {
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'capstan');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'capstan');
  return join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'capstan');
}

function readFile(path: string): z.infer<typeof fileSchema> {
  if (!existsSync(path)) return {};
  const parsed = fileSchema.safeParse(parseJson(path));
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`.trim()).join('; ');
  throw new AppError('CONFIG_INVALID', {
    message: `The configuration file ${path} is not right: ${what}.`,
    fix: 'Mend or remove that entry.',
  });
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', {
      message: `The configuration file ${path} cannot be read as JSON.`,
      fix: 'Mend it, or remove it.',
      cause,
    });
  }
}

/** The AWS SDK advertises newer versions of Node on standard error once a process, which an MCP client shows to people as a fault. */
export function quietVendors(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
}

/** The value of a variable named by an `env:NAME` reference (S2). */
export function readVariable(name: string): string | undefined {
  return process.env[name];
}

/** The SDK of the S3 store warns of Node's version on stderr, which belongs to our own log; which versions we run on is ours to say. */
export function quietLibraries(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
}
