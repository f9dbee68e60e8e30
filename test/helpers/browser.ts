/** A real Chromium without a screen, by playwright-core; it is looked for on PATH and where Debian puts it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function executable(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin'];
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Why tests in a browser cannot run here, or undefined when they can. */
export function whyNoBrowser(): string | undefined {
  return executable() === undefined ? 'needs the program chromium: apt-get install chromium' : undefined;
}

/** Where the program is missing on Linux, CI fails instead of skipping. */
export const browserMustRun = process.env['CI'] === 'true' && process.platform === 'linux';

export function openBrowser(): Promise<Browser> {
  const path = executable();
  if (path === undefined) throw new Error(whyNoBrowser());
  return chromium.launch({ executablePath: path, headless: true, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}
