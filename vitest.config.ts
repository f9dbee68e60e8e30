import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['dist/**', 'dist-test/**', 'node_modules/**'],
    globalSetup: ['test/helpers/build.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: 'test-report.json' }]],
    coverage: { provider: 'v8', include: ['src/**', 'machines/**'], reporter: ['text-summary', 'json-summary'] },
  },
});
