module.exports = {
  apps: [
    {
      name: 'api',
      script: 'api.js',
      instances: 2,
      exec_mode: 'cluster',
      env: { PORT: process.env.PORT || 3000 },
      env_production: { NODE_ENV: 'production' },
    },
    { name: 'mailer', script: 'mailer.py', depends_on: 'api' },
  ],
};
