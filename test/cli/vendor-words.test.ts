/** What reaches a person on standard error is ours: libraries that advertise there are kept quiet. */
import { expect, test } from 'vitest';
import { capstan } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';

test('a bucket is opened without the advertisements of its library', async () => {
  const place = temporaryHome();
  try {
    const env = { A: 'access-key-of-a-test', S: 'secret-key-of-a-test' };
    const keys = ['--access-key', 'env:A', '--secret-key', 'env:S'];
    const store = ['backups', 'store-add', 'bucket', '--bucket', 'nowhere', '--endpoint', 'http://127.0.0.1:9', ...keys];
    expect(await capstan(place.home, store, env)).toMatchObject({ exit: 0 });
    const refused = await capstan(place.home, ['backups', 'adopt', '--target', 'shop', '--store', 'bucket'], env);
    expect(refused.exit).not.toBe(0);
    expect(refused.stderr).toMatch(/^[A-Z_]+: /); // it came as far as the bucket, and says so first
    expect(refused.stderr).not.toMatch(/warning|node >=|AWS SDK/i);
  } finally {
    place.remove();
  }
});
