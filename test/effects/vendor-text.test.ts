import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeInvisible, quoteVendorText, redactText } from '../../src/effects/http/vendor-text.ts';

const SECRET = 'S3cr3tCanaryValue42';
const JWT = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYW5vbiJ9.sIgNaTuReCanary';

describe('redaction', () => {
  it.each([
    `rclone ls --s3-access-key-id=${SECRET} --s3-secret-access-key=${SECRET} --s3-region=us`,
    `rclone ls --s3-secret-access-key ${SECRET}`,
    `rclone --s3-secret-access-key="${SECRET} and more"`,
    `POSTGRES_PASSWORD=${SECRET}`,
    `export JWT_SECRET = '${SECRET}'`,
    `SMTP_PASS=${SECRET}; echo`,
    `{"secretAccessKey":"${SECRET}"}`,
    `{"password": "${SECRET}"`,
    `postgres://postgres:${SECRET}@db:5432/postgres`,
    `https://${SECRET}@github.com/x`,
    `Authorization: Bearer ${SECRET}`,
    `x-api-key: ${SECRET}`,
    `password: ${SECRET}`,
    `sb_secret_${SECRET}`,
    `-----BEGIN EC PRIVATE KEY-----\n${SECRET}\n-----END EC PRIVATE KEY-----`,
    `-----BEGIN PRIVATE KEY-----\n${SECRET}`,
  ])('takes the secret out of %s', (text) => {
    expect(redactText(text)).not.toContain(SECRET);
    expect(redactText(text)).toContain('[redacted]');
  });

  it('takes out tokens, also cut ones', () => {
    expect(redactText(`ANON ${JWT} x`)).not.toContain('sIgNaTuReCanary');
    expect(redactText(`ANON ${JWT.slice(0, 60)}`)).not.toContain('eyJyb2xl');
  });

  it('takes out known values in every encoding', () => {
    const value = 'p@ss/word "42"';
    const text = [value, encodeURIComponent(value), JSON.stringify(value), Buffer.from(value).toString('base64')].join(' | ');
    expect(redactText(text, [value])).not.toMatch(/word|cEBzcy93b3Jk/);
  });

  it('is done at once with a flood, whatever it is made of', () => {
    for (const sign of ['-', 'a.', '"a', 'KEY', 'token ', 'password: ', '-----BEGIN ', 'eyJ', 'a://']) {
      const began = performance.now();
      redactText(sign.repeat(500_000 / sign.length));
      expect(performance.now() - began, sign).toBeLessThan(2_000);
    }
  });

  it('leaves plain sentences as they are', () => {
    const text = 'Compose not found: web (port 8000), see https://docs.example.com/keys';
    expect(redactText(text)).toBe(text);
  });
});

describe('quoting', () => {
  it('stands in quotes, in one line, with hidden characters shown', () => {
    expect(quoteVendorText('a\nb\u202Egnp.exe\u0007"x"')).toBe('"a\\nb\\u{202e}gnp.exe\\u{7}\'x\'"');
  });

  it('cuts to the limit after redaction, so that no half of a secret survives', () => {
    const text = `${'x'.repeat(170)} JWT_SECRET=${SECRET}`;
    expect(quoteVendorText(text)).not.toContain('S3cr');
    expect(quoteVendorText('y'.repeat(500))).toHaveLength(202);
  });

  it('never holds a control or bidirectional character, a bare quote or more than the limit, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        const quoted = quoteVendorText(text);
        return quoted.length <= 202 && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(quoted) && !quoted.slice(1, -1).includes('"');
      }),
    );
  });

  it('escapes without losing ordinary text', () => {
    expect(escapeInvisible('Zoë – ✅')).toBe('Zoë – ✅');
  });
});
