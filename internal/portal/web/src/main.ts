import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { startLanguage } from './lib/i18n.svelte';
import { startRouter } from './lib/router.svelte';
import { resume } from './lib/session.svelte';
import { startTheme } from './lib/theme.svelte';

startTheme();
startRouter();
await startLanguage();
await resume().catch(() => undefined); // the log-in page says what is wrong
mount(App, { target: document.getElementById('app')! });
