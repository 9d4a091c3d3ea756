--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: registry_auth_documents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.registry_auth_documents (
    realm text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    data bytea,
    changed_at timestamp with time zone NOT NULL
);


--
-- Name: registry_auth_format; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.registry_auth_format (
    format integer NOT NULL
);


--
-- Name: registry_auth_history; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.registry_auth_history (
    realm text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL
);


--
-- Name: registry_auth_marks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.registry_auth_marks (
    realm text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    mark bigint NOT NULL
);


--
-- Name: registry_auth_realms; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.registry_auth_realms (
    realm text NOT NULL COLLATE pg_catalog."C",
    sequence bigint DEFAULT 0 NOT NULL,
    trimmed bigint DEFAULT 0 NOT NULL
);


--
-- Data for Name: registry_auth_documents; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.registry_auth_documents VALUES ('default', 'robot', 'ci', 1, '\x7b22666f726d6174223a312c226e616d65223a226369227d', '2026-11-30 09:47:20.588664+00');
INSERT INTO public.registry_auth_documents VALUES ('default', 'token', 'ä 🚀', 1, '\x00ff', '2026-11-30 09:47:20.588664+00');
INSERT INTO public.registry_auth_documents VALUES ('default', 'robot', 'gone', 2, NULL, '2026-11-30 09:47:20.591513+00');
INSERT INTO public.registry_auth_documents VALUES ('default', 'key', 'empty', 2, '\x', '2026-11-30 09:47:20.591513+00');
INSERT INTO public.registry_auth_documents VALUES ('other', 'robot', 'ci', 1, '\x6f74686572', '2026-11-30 09:47:20.598834+00');


--
-- Data for Name: registry_auth_format; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.registry_auth_format VALUES (2);


--
-- Data for Name: registry_auth_history; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.registry_auth_history VALUES ('default', '20260102T030400.000000000Z-a', '\x30');
INSERT INTO public.registry_auth_history VALUES ('default', '20260102T030401.000000000Z-a', '\x31');
INSERT INTO public.registry_auth_history VALUES ('default', '20260102T030402.000000000Z-a', '\x32');


--
-- Data for Name: registry_auth_marks; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.registry_auth_marks VALUES ('default', 1, 5833659945716298109);
INSERT INTO public.registry_auth_marks VALUES ('default', 2, 7807109267996745901);
INSERT INTO public.registry_auth_marks VALUES ('other', 1, 8277782592864540233);


--
-- Data for Name: registry_auth_realms; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.registry_auth_realms VALUES ('default', 2, 0);
INSERT INTO public.registry_auth_realms VALUES ('other', 1, 0);


--
-- Name: registry_auth_documents registry_auth_documents_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.registry_auth_documents
    ADD CONSTRAINT registry_auth_documents_pkey PRIMARY KEY (realm, kind, id);


--
-- Name: registry_auth_history registry_auth_history_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.registry_auth_history
    ADD CONSTRAINT registry_auth_history_pkey PRIMARY KEY (realm, id);


--
-- Name: registry_auth_marks registry_auth_marks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.registry_auth_marks
    ADD CONSTRAINT registry_auth_marks_pkey PRIMARY KEY (realm, sequence);


--
-- Name: registry_auth_realms registry_auth_realms_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.registry_auth_realms
    ADD CONSTRAINT registry_auth_realms_pkey PRIMARY KEY (realm);


--
-- Name: registry_auth_documents_realm_revision_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX registry_auth_documents_realm_revision_idx ON public.registry_auth_documents USING btree (realm, revision);


--
-- PostgreSQL database dump complete
--


